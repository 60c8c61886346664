"""Writes data/patients.csv from the diabetes data that ships inside scikit-learn (442 real patients).

Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression", Annals of Statistics 2004. The measurements are as they
were taken, not scaled; `progression` is a measure of the disease one year later. The source does not say which code of `sex`
is which, so the codes stay codes, as words.
"""

from pathlib import Path

from sklearn.datasets import load_diabetes


def main():
    patients = load_diabetes(as_frame=True, scaled=False).frame.rename(
        columns={
            "bp": "blood_pressure",
            "s1": "cholesterol",
            "s2": "ldl",
            "s3": "hdl",
            "s4": "cholesterol_to_hdl",
            "s5": "log_triglycerides",
            "s6": "glucose",
            "target": "progression",
        }
    )
    patients["sex"] = patients["sex"].map({1.0: "code 1", 2.0: "code 2"})
    patients.insert(0, "patient_id", [f"P{number:04d}" for number in range(1, len(patients) + 1)])
    Path("data").mkdir(exist_ok=True)
    patients.to_csv("data/patients.csv", index=False)
    print(f"data/patients.csv: {len(patients)} patients, progression {patients['progression'].mean():.0f} on average")


if __name__ == "__main__":
    main()
