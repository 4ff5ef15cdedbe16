// A fake agent on a unix socket in its own directory: gives the answers that a test sets, and remembers requests. Set
// the answers before Start; read the requests at any time.
#pragma once

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <any>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "api/observe_metadata.h"
#include "api/sluice.grpc.pb.h"

namespace sluice::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = "/tmp/sluice-client-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

class FakeAgent final : public v1::Sluice::Service {
 public:
  ~FakeAgent() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  // The answers.
  v1::ApplyReply applied;
  v1::DeleteReply deleted;
  std::vector<v1::Object> objects;
  v1::Explanation explanation;
  v1::OperationExplanation operation;
  v1::QuarantineReply quarantined;
  std::vector<v1::Event> events;
  std::vector<std::string> notices;       // at the start of each event stream
  std::vector<grpc::Status> follows_end;  // how the next following streams end, each after all events
  std::vector<v1::AgentStatus> states;    // in this order; then `state` repeats
  v1::AgentStatus state;
  std::vector<v1::TopReply> tops;  // in this order; then the last one repeats

  void Start() {
    KeepGrpc();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(256 << 20);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr) << "cannot listen at " << address();
  }
  std::string address() const { return "unix://" + directory_ / "agent.sock"; }

  // Replaces every answer from now on; may be called at any time.
  void Refuse(grpc::StatusCode code, const std::string& message) {
    const std::lock_guard lock(mutex_);
    refusal_ = {code, message};
  }

  // The list that `get` returns from now on; may be called at any time.
  void List(std::vector<v1::Object> now) {
    const std::lock_guard lock(mutex_);
    objects = std::move(now);
  }

  // The latest request of this type.
  template <typename Request>
  Request Asked() const {
    const std::lock_guard lock(mutex_);
    const auto* request = std::any_cast<Request>(&asked_);
    if (request == nullptr) ADD_FAILURE() << "the last request was of another kind: " << asked_.type().name();
    return request == nullptr ? Request() : *request;
  }
  bool WasAsked() const {
    const std::lock_guard lock(mutex_);
    return asked_.has_value();
  }

  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ApplyReply* reply) override {
    *reply = applied;
    return Remember(*request);
  }
  grpc::Status Delete(grpc::ServerContext*, const v1::DeleteRequest* request, v1::DeleteReply* reply) override {
    *reply = deleted;
    return Remember(*request);
  }
  grpc::Status Get(grpc::ServerContext*, const v1::GetRequest* request,
                   grpc::ServerWriter<v1::Object>* writer) override {
    const grpc::Status status = Remember(*request);
    std::unique_lock lock(mutex_);
    const std::vector<v1::Object> listed = objects;
    lock.unlock();
    for (const v1::Object& object : listed) {
      if (status.ok()) writer->Write(object);
    }
    return status;
  }
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest* request, v1::Explanation* reply) override {
    *reply = explanation;
    return Remember(*request);
  }
  grpc::Status ExplainOperation(grpc::ServerContext*, const v1::ExplainOperationRequest* request,
                                v1::OperationExplanation* reply) override {
    *reply = operation;
    return Remember(*request);
  }
  grpc::Status Quarantine(grpc::ServerContext*, const v1::QuarantineRequest* request,
                          v1::QuarantineReply* reply) override {
    *reply = quarantined;
    return Remember(*request);
  }
  // When following: repeats all events until the client disconnects.
  grpc::Status Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                       grpc::ServerWriter<v1::Event>* writer) override {
    const grpc::Status status = Remember(*request);
    if (!status.ok()) return status;
    context->AddInitialMetadata(api::kNodeKey, "node-1");
    for (const std::string& notice : notices) context->AddInitialMetadata(api::kNoticeKey, notice);
    do {
      for (const v1::Event& event : events) {
        if (!writer->Write(event)) return status;
      }
      const std::lock_guard lock(mutex_);
      if (!request->follow() || follows_end.empty()) continue;
      const grpc::Status end = follows_end.front();
      follows_end.erase(follows_end.begin());
      return end;
    } while (request->follow() && !context->IsCancelled());
    return status;
  }
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest* request, v1::AgentStatus* reply) override {
    const std::lock_guard lock(mutex_);
    *reply = states.empty() ? state : states.front();
    if (!states.empty()) states.erase(states.begin());
    asked_ = *request;
    return refusal_;
  }
  grpc::Status Top(grpc::ServerContext*, const v1::TopRequest* request, v1::TopReply* reply) override {
    if (!tops.empty()) *reply = tops[std::min(top_++, tops.size() - 1)];
    return Remember(*request);
  }
  // Takes effect from now on; may be called at any time.
  void SetStates(std::vector<v1::AgentStatus> first, const v1::AgentStatus& then) {
    const std::lock_guard lock(mutex_);
    states = std::move(first);
    state = then;
  }

 private:
  // Keeps gRPC running until the process ends: its shutdown with the last server may wait 10 s for broken connections.
  static void KeepGrpc() {
    static const bool kept = (grpc_init(), true);
    (void)kept;
  }

  template <typename Request>
  grpc::Status Remember(const Request& request) {
    const std::lock_guard lock(mutex_);
    asked_ = request;
    return refusal_;
  }

  TemporaryDirectory directory_;
  mutable std::mutex mutex_;
  std::any asked_;
  grpc::Status refusal_ = grpc::Status::OK;
  std::atomic<std::size_t> top_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sluice::test
