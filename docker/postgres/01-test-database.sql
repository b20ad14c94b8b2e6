-- Run once, on an empty data folder, by the superuser that POSTGRES_USER names.
CREATE DATABASE ai_core_test;
