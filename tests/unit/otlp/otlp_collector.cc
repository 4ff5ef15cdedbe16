#include "tests/unit/otlp/otlp_collector.h"

#include <gtest/gtest.h>

#include "tests/unit/otlp/wire_reader.h"

namespace sluice::test {
namespace {

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

std::string ValueText(const WireReader& value) {
  if (value.Has(1)) return value.Text(1);
  if (const auto is = value.Number(2)) return *is != 0 ? "true" : "false";
  if (const auto number = value.Number(3)) return std::to_string(static_cast<std::int64_t>(*number));
  std::string text;
  if (!value.Has(5)) return text;
  for (const WireReader& one : value.All(5).front().All(1)) text += (text.empty() ? "" : " ") + ValueText(one);
  return text;
}

OtlpCollector::Attributes AttributesOf(const WireReader& message, std::uint32_t number) {
  OtlpCollector::Attributes attributes;
  for (const WireReader& pair : message.All(number)) {
    const auto value = pair.All(2);
    if (value.size() != 1) ADD_FAILURE() << "no value of " << pair.Text(1);
    const bool is_new = attributes.emplace(pair.Text(1), value.empty() ? "" : ValueText(value.front())).second;
    EXPECT_TRUE(is_new) << "OTLP forbids two attributes of one name: " << pair.Text(1);
  }
  return attributes;
}

OtlpCollector::Log LogOf(const WireReader& record) {
  return {.time_ns = record.Number(1, WireReader::kFixed64).value_or(0),
          .observed_ns = record.Number(11, WireReader::kFixed64).value_or(0),
          .severity = record.Number(2).value_or(0),
          .severity_text = record.Text(3),
          .body = record.Has(5) ? ValueText(record.All(5).front()) : "",
          .event = record.Text(12),
          .attributes = AttributesOf(record, 6)};
}

}  // namespace

class OtlpCollector::Call final : public grpc::ServerGenericBidiReactor {
 public:
  Call(OtlpCollector* collector, grpc::GenericCallbackServerContext* context) : collector_(collector) {
    request_.path = context->method();
    for (const auto& [name, value] : context->client_metadata())
      request_.headers[std::string(name.data(), name.size())] = std::string(value.data(), value.size());
    StartRead(&in_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status(grpc::StatusCode::CANCELLED, "nothing came"));
    request_.body = ToString(in_);
    {
      const std::lock_guard lock(collector_->mutex_);
      collector_->requests_.push_back(request_);
    }
    const Answer answer = collector_->behave_(request_);
    if (!answer.status.ok()) return Finish(answer.status);
    {
      const std::lock_guard lock(collector_->mutex_);
      collector_->taken_.push_back(request_);
    }
    const grpc::Slice slice(answer.body);
    out_ = grpc::ByteBuffer(&slice, 1);
    StartWriteAndFinish(&out_, {}, grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  OtlpCollector* const collector_;
  Request request_;
  grpc::ByteBuffer in_, out_;
};

class OtlpCollector::Service final : public grpc::CallbackGenericService {
 public:
  explicit Service(OtlpCollector* collector) : collector_(collector) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new Call(collector_, context);
  }

 private:
  OtlpCollector* const collector_;
};

OtlpCollector::OtlpCollector(const Options& options)
    : behave_(options.behave), service_(std::make_unique<Service>(this)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, options.credentials, &port_);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) ADD_FAILURE() << "cannot listen at " << options.address;
}

OtlpCollector::~OtlpCollector() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

std::vector<OtlpCollector::Request> OtlpCollector::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<OtlpCollector::Log> OtlpCollector::Logs() const {
  std::vector<Request> taken;
  {
    const std::lock_guard lock(mutex_);
    taken = taken_;
  }
  std::vector<Log> logs;
  for (const Request& request : taken) {
    if (request.path != "/opentelemetry.proto.collector.logs.v1.LogsService/Export") continue;
    for (const WireReader& resource : WireReader(request.body).All(1)) {
      for (const WireReader& scope : resource.All(2)) {
        for (const WireReader& record : scope.All(2)) {
          Log log = LogOf(record);
          log.resource = AttributesOf(resource.All(1).front(), 1);
          log.scope = scope.All(1).front().Text(1);
          logs.push_back(std::move(log));
        }
      }
    }
  }
  return logs;
}

}  // namespace sluice::test
