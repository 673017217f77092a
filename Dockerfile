# Trains and serves: every step of tfmtl is a command of this image.
#
#   docker build -t tfmtl:0.1.0 .
#   docker run --rm --read-only --tmpfs /tmp -v "$PWD":/work tfmtl:0.1.0 train data --output run
#   docker run --rm --read-only --tmpfs /tmp -v "$PWD/model":/work/model:ro -p 127.0.0.1:8500-8501:8500-8501 \
#     tfmtl:0.1.0 serve model --host 0.0.0.0
#
# What it writes has to belong to user 65532, or be given with --user. Spark is left out, for it needs Java.
FROM python:3.11.14-slim-bookworm AS build

WORKDIR /source
COPY requirements.txt ./
# The versions that the tests run with: the first block of the file, without what only Spark needs.
RUN sed -e '/^$/,$d' -e '/^pyspark/d' -e '/^pandas/d' requirements.txt > installed.txt \
    && python -m venv /opt/tfmtl \
    && /opt/tfmtl/bin/python -m pip install --no-cache-dir -r installed.txt
COPY pyproject.toml README.md LICENSE ./
COPY tfmtl tfmtl
COPY pipelines pipelines
COPY serving serving
RUN /opt/tfmtl/bin/python -m pip install --no-cache-dir --no-deps . \
    && /opt/tfmtl/bin/tfmtl --version

FROM python:3.11.14-slim-bookworm

COPY --from=build /opt/tfmtl /opt/tfmtl
# A user without rights and without a shell, who may write where data is mounted and in /tmp alone.
RUN useradd --uid 65532 --no-create-home --shell /usr/sbin/nologin worker \
    && mkdir /work && chown 65532:65532 /work
ENV PATH=/opt/tfmtl/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp
USER 65532:65532
WORKDIR /work
EXPOSE 8500 8501
ENTRYPOINT ["tfmtl"]
CMD ["--help"]
