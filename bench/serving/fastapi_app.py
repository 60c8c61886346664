"""What a team writes itself: FastAPI before scikit-learn (SKLEARN names a joblib file) or before ONNX Runtime (ONNX names a graph)."""

import os

import numpy
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Question(BaseModel):
    inputs: list[list[float]]


if "SKLEARN" in os.environ:
    import joblib

    model = joblib.load(os.environ["SKLEARN"])

    def answer(rows):
        return model.predict(rows)
else:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.environ["ONNX"], options)
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def answer(rows):
        return session.run([output], {name: rows})[0]


@app.get("/health")
async def health():
    return {}


@app.post("/invocations")
async def invocations(question: Question):
    return {"predictions": answer(numpy.array(question.inputs)).tolist()}
