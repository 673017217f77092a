"""Public data sets: raw source to canonical rows and a problem file."""

from pipelines.datasets.census_income import CENSUS_INCOME
from pipelines.datasets.dataset import Dataset
from pipelines.datasets.kuairand_explicit import KUAIRAND_EXPLICIT
from pipelines.datasets.movielens_100k import MOVIELENS_100K
from pipelines.datasets.planted import PLANTED
from pipelines.datasets.retailrocket_mb import RETAILROCKET_MB
from pipelines.datasets.taobao_mb import TAOBAO_MB

DATASETS = {
    dataset.name: dataset
    for dataset in (MOVIELENS_100K, CENSUS_INCOME, KUAIRAND_EXPLICIT, RETAILROCKET_MB, TAOBAO_MB, PLANTED)
}

__all__ = ["DATASETS", "Dataset"]
