-- The hashes of the user ids that the erased person had before the present one: reports were made under them, and what is left of those goes with the person.
ALTER TABLE {shared}.erasure_rules
    ADD COLUMN IF NOT EXISTS former_subjects Array(String) AFTER subject;
