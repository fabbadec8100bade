# Converts models in batch jobs: docker run --rm -v "$PWD:/data" tqconv convert model.pb -o model.tflite
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY tqconv tqconv
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[images]" && rm -r /wheels
RUN useradd --create-home converter
USER converter
WORKDIR /data
ENTRYPOINT ["tqconv"]
CMD ["--help"]
