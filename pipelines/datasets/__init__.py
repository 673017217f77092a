"""Public data sets: raw source to canonical rows and a problem file."""

from pipelines.datasets.ali_ccp import ALI_CCP
from pipelines.datasets.aliexpress import ALIEXPRESS
from pipelines.datasets.census_income import CENSUS_INCOME
from pipelines.datasets.dataset import Dataset
from pipelines.datasets.kuairand import KUAIRAND
from pipelines.datasets.kuairand_explicit import KUAIRAND_EXPLICIT
from pipelines.datasets.movielens_100k import MOVIELENS_100K
from pipelines.datasets.news_impressions import NEWS_IMPRESSIONS
from pipelines.datasets.planted import PLANTED
from pipelines.datasets.retailrocket import RETAILROCKET
from pipelines.datasets.retailrocket_mb import RETAILROCKET_MB
from pipelines.datasets.streamed_dataset import StreamedDataset
from pipelines.datasets.taobao import TAOBAO
from pipelines.datasets.taobao_mb import TAOBAO_MB

_ALL: tuple[Dataset | StreamedDataset, ...] = (
    MOVIELENS_100K,
    CENSUS_INCOME,
    KUAIRAND,
    KUAIRAND_EXPLICIT,
    RETAILROCKET,
    RETAILROCKET_MB,
    TAOBAO,
    TAOBAO_MB,
    NEWS_IMPRESSIONS,
    ALI_CCP,
    ALIEXPRESS,
    PLANTED,
)
DATASETS = {dataset.name: dataset for dataset in _ALL}

__all__ = ["DATASETS", "Dataset", "StreamedDataset"]
