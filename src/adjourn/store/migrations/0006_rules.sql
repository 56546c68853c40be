-- When rules came into use, for the history of their changes; of older rows that is not known.
ALTER TABLE policies ADD COLUMN at INTEGER;
