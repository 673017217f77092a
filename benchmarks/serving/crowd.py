"""Many clients that ask a server at once and compare every answer."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
import numpy as np

from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.protocol.tensor_proto import array_to_tensor, tensor_to_array

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_TIMEOUT = 60.0
# Each client has a connection of its own, as clients on machines of their own have.
_CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


@dataclass(frozen=True)
class Case:
    """One request and its answer.

    Args:
        features: mapping of input name to array; text as `bytes` in object arrays.
        answer: mapping of output name to array of floats.
        signature_name: str. Defaults to `"serving_default"`.
    """

    features: Mapping[str, np.ndarray]
    answer: Mapping[str, np.ndarray]
    signature_name: str = "serving_default"


@dataclass
class Crowd:
    """Half of the clients ask over gRPC, half over REST, each as soon as it has its last answer.

    Args:
        grpc_address: str. `"host:port"`.
        rest_address: str. Likewise.
        model_name: str.
        cases: what is asked, in turn.
        tolerance: float. Largest difference of a right answer. Defaults to `0.0`, which is to the bit.

    Attributes:
        statuses: Counter of gRPC codes and HTTP statuses.
        wrong: list of str. What was wrong about answers that came.
    """

    grpc_address: str
    rest_address: str
    model_name: str
    cases: Sequence[Case]
    tolerance: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def ask_for(self, seconds: float, num_clients: int) -> None:
        """Asks until the time is over."""
        asyncio.run(self._ask_for(seconds, num_clients))

    async def _ask_for(self, seconds: float, num_clients: int) -> None:
        until = asyncio.get_running_loop().time() + seconds
        ask = (self._ask_grpc, self._ask_rest)
        await asyncio.gather(*(ask[index % 2](until, index) for index in range(num_clients)))

    async def _ask_grpc(self, until: float, index: int) -> None:
        requests = [self._message(case) for case in self.cases]
        async with grpc.aio.insecure_channel(self.grpc_address, _CHANNEL_OPTIONS) as channel:
            predict = channel.unary_unary(_PREDICT)
            while asyncio.get_running_loop().time() < until:
                index = (index + 1) % len(self.cases)
                try:
                    body = await predict(requests[index], timeout=_TIMEOUT)
                except grpc.RpcError as error:
                    self.statuses[error.code().name] += 1
                    continue
                self.statuses["OK"] += 1
                outputs = MESSAGES["PredictResponse"].FromString(body).outputs
                self._compare(self.cases[index], {name: tensor_to_array(tensor) for name, tensor in outputs.items()})

    async def _ask_rest(self, until: float, index: int) -> None:
        bodies = [self._body(case) for case in self.cases]
        url = f"http://{self.rest_address}/v1/models/{self.model_name}:predict"
        timeout = aiohttp.ClientTimeout(_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while asyncio.get_running_loop().time() < until:
                index = (index + 1) % len(self.cases)
                try:
                    async with session.post(url, data=bodies[index]) as response:
                        answer = await response.json()
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.statuses[type(error).__name__] += 1
                    continue
                self.statuses[str(response.status)] += 1
                if response.status == 200:
                    outputs = answer["outputs"]
                    named = outputs if isinstance(outputs, dict) else dict.fromkeys(self.cases[index].answer, outputs)
                    self._compare(self.cases[index], named)

    def _message(self, case: Case) -> bytes:
        spec = MESSAGES["ModelSpec"](name=self.model_name, signature_name=case.signature_name)
        request = MESSAGES["PredictRequest"](model_spec=spec)
        for name, array in case.features.items():
            array_to_tensor(array, request.inputs[name])
        return request.SerializeToString()

    def _body(self, case: Case) -> bytes:
        inputs = {name: _to_json(array.tolist()) for name, array in case.features.items()}
        return json.dumps({"signature_name": case.signature_name, "inputs": inputs}).encode()

    def _compare(self, case: Case, outputs: Mapping[str, Any]) -> None:
        for name, expected in case.answer.items():
            received = np.asarray(outputs.get(name, ()), expected.dtype)
            if received.shape != expected.shape or not np.allclose(
                received, expected, rtol=0.0, atol=self.tolerance, equal_nan=True
            ):
                self.wrong.append(f"{case.signature_name}, {name}: {received.tolist()} instead of {expected.tolist()}")


def _to_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value
