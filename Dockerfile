# lungscore for the processor alone. Not built in continuous integration.
#   docker build -t lungscore .
#   docker run --rm --read-only --tmpfs /tmp --network none \
#     -v "$PWD/scans:/scans:ro" -v "$PWD/results:/results" lungscore analyze /scans -o /results
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /app \
 && /app/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[dicom,pdf,tables]"

FROM python:3.12-slim
# What draws report.pdf.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin lungscore
COPY --from=build /app /app
# With a read-only root nothing but /tmp and the mounted folders is written.
ENV PATH=/app/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1 \
    OMP_WAIT_POLICY=passive
USER 10001
WORKDIR /tmp
ENTRYPOINT ["lungscore"]
CMD ["--help"]
