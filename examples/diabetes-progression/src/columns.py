"""What the table's columns are to the models; every script that needs to know imports it."""

KEY = "patient_id"
TARGET = "progression"
CATEGORIES = ["sex"]


def inputs_of(table):
    return table.drop(columns=[KEY, TARGET], errors="ignore")


def numbers_of(table):
    return [column for column in inputs_of(table).columns if column not in CATEGORIES]
