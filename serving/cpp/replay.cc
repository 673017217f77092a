// Replays the recorded requests of an exported model without Python, on the C++ runtime that TF Serving is built on.
//
//     replay <export>/<version>
//
// The requests are the export's own tf_serving_warmup_requests, which hold the answers of the training graph too. Prints
// the largest difference for each signature, absolute for values up to 1 and relative above, infinite where an id is
// another, and exits with status 1 if one exceeds 1e-5. Built against the headers and libraries of the tensorflow wheel:
//
//     g++ -O1 replay.cc -o replay $(python -c 'import tensorflow as tf; print(*tf.sysconfig.get_compile_flags())')
//         -L$WHEEL -Wl,--no-as-needed,-rpath,$WHEEL -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2
//
// where WHEEL is the folder of the tensorflow package.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/unknown_field_set.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/lib/io/record_reader.h"
#include "tensorflow/core/platform/env.h"

namespace {

constexpr double kTolerance = 1e-5;

void Check(const absl::Status& status) {
  if (!status.ok()) {
    std::cerr << status.ToString() << std::endl;
    std::exit(2);
  }
}

// A message whose type this program does not have: TF Serving's are not in the wheel's headers. On the wire a message
// is field numbers and values, and a map is a repeated message of key (1) and value (2).
class Message {
 public:
  explicit Message(const std::string& bytes) { fields_.ParseFromString(bytes); }

  std::vector<std::string> All(int number) const {
    std::vector<std::string> found;
    for (int i = 0; i < fields_.field_count(); ++i) {
      const auto& field = fields_.field(i);
      if (field.number() == number) found.emplace_back(field.length_delimited());
    }
    return found;
  }

  std::string One(int number) const {
    const auto found = All(number);
    return found.empty() ? std::string() : found.back();
  }

  std::map<std::string, tensorflow::Tensor> Tensors(int number) const {
    std::map<std::string, tensorflow::Tensor> tensors;
    for (const auto& entry : All(number)) {
      tensorflow::TensorProto proto;
      tensorflow::Tensor tensor;
      if (!proto.ParseFromString(Message(entry).One(2)) || !tensor.FromProto(proto)) {
        std::cerr << "a tensor cannot be read" << std::endl;
        std::exit(2);
      }
      tensors.emplace(Message(entry).One(1), std::move(tensor));
    }
    return tensors;
  }

 private:
  google::protobuf::UnknownFieldSet fields_;
};

double Difference(const tensorflow::Tensor& found, const tensorflow::Tensor& expected) {
  if (found.shape() != expected.shape() || found.dtype() != expected.dtype()) return INFINITY;
  if (expected.dtype() == tensorflow::DT_STRING) {  // ids of items
    const auto strings = [](const tensorflow::Tensor& tensor) { return tensor.flat<tensorflow::tstring>(); };
    const auto* begin = strings(expected).data();
    return std::equal(begin, begin + expected.NumElements(), strings(found).data()) ? 0.0 : INFINITY;
  }
  double largest = 0.0;
  for (int64_t i = 0; i < expected.NumElements(); ++i) {
    const double wanted = expected.flat<float>()(i);
    const double gap = std::abs(found.flat<float>()(i) - wanted) / std::max(1.0, std::abs(wanted));
    if (!(gap <= largest)) largest = gap;  // a NaN too
  }
  return largest;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: replay <export>/<version>" << std::endl;
    return 2;
  }
  const std::string version = argv[1];
  tensorflow::SavedModelBundle bundle;
  Check(tensorflow::LoadSavedModel({}, {}, version, {"serve"}, &bundle));
  std::unique_ptr<tensorflow::RandomAccessFile> file;
  Check(tensorflow::Env::Default()->NewRandomAccessFile(version + "/assets.extra/tf_serving_warmup_requests", &file));
  tensorflow::io::SequentialRecordReader reader(file.get());
  std::map<std::string, std::pair<int, double>> results;  // signature -> requests, largest difference
  tensorflow::tstring record;
  while (reader.ReadRecord(&record).ok()) {
    const Message log(Message(std::string(record)).One(6));  // PredictionLog.predict_log
    const Message request(log.One(1)), response(log.One(2));
    const std::string name = Message(request.One(1)).One(3);  // PredictRequest.model_spec.signature_name
    const auto& signature = bundle.GetSignatures().at(name);
    std::vector<std::pair<std::string, tensorflow::Tensor>> inputs;
    for (const auto& [key, tensor] : request.Tensors(2)) inputs.emplace_back(signature.inputs().at(key).name(), tensor);
    const auto expected = response.Tensors(1);
    std::vector<std::string> outputs;
    for (const auto& [key, tensor] : expected) outputs.push_back(signature.outputs().at(key).name());
    std::vector<tensorflow::Tensor> found;
    Check(bundle.GetSession()->Run(inputs, outputs, {}, &found));
    auto& [requests, largest] = results[name];
    ++requests;
    size_t index = 0;
    for (const auto& [key, tensor] : expected) {
      const double difference = Difference(found[index++], tensor);
      if (!(difference <= largest)) largest = difference;
    }
  }
  bool is_right = !results.empty();
  for (const auto& [name, result] : results) {
    std::cout << name << " " << result.first << " " << result.second << std::endl;
    is_right = is_right && result.second <= kTolerance;
  }
  return is_right ? 0 : 1;
}
