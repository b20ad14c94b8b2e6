-- Run once, on an empty data folder.
CREATE DATABASE IF NOT EXISTS automation_analytics_test;
