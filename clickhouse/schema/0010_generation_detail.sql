-- How far a generation that is being built is: a JSON document of cli/rebuild/progress.py, empty where nobody built it by `bionicpro rebuild`.
ALTER TABLE {shared}.generations ADD COLUMN IF NOT EXISTS detail String DEFAULT '';
