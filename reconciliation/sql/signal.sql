-- Asks the connector for something; it reads the row from the write-ahead log.
INSERT INTO {signals} (id, type, data) VALUES (%(id)s, %(type)s, %(data)s)
