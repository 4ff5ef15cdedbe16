// An OpenTelemetry collector for tests: a gRPC server that takes any method and knows no message. What it received is
// decoded by hand, so that a wrong number, name or path in our own files does not go unnoticed.
//   OtlpCollector collector({.address = "127.0.0.1:0"});
//   ... send to "http://127.0.0.1:" + collector.port() ...
//   EXPECT_EQ(collector.Logs().front().attributes.at("k8s.pod.name"), "web-0");
// Thread-safe.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sluice::test {

class OtlpCollector {
 public:
  struct Request {
    std::string path;
    std::map<std::string, std::string> headers;
    std::string body;
  };
  struct Answer {
    grpc::Status status;
    std::string body = {};
  };
  // May block: the answer comes when it returns.
  using Behave = std::function<Answer(const Request& request)>;
  struct Options {
    std::string address;  // "127.0.0.1:0", "unix:///PATH"
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    Behave behave = [](const Request&) { return Answer{}; };
  };
  explicit OtlpCollector(const Options& options);
  ~OtlpCollector();
  OtlpCollector(const OtlpCollector&) = delete;
  OtlpCollector& operator=(const OtlpCollector&) = delete;

  std::string port() const { return std::to_string(port_); }
  std::vector<Request> requests() const;

  // Values of attributes as text: "5", "true", "a b" for a list.
  using Attributes = std::map<std::string, std::string>;
  struct Log {
    std::uint64_t time_ns = 0;
    std::uint64_t observed_ns = 0;
    std::uint64_t severity = 0;
    std::string severity_text;
    std::string body;
    std::string event;
    Attributes attributes;
    Attributes resource;
    std::string scope;
  };
  // Of all requests that were answered with OK, in order.
  std::vector<Log> Logs() const;

 private:
  class Call;
  class Service;
  int port_ = 0;
  Behave behave_;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;  // by mutex_
  std::vector<Request> taken_;     // by mutex_
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sluice::test
