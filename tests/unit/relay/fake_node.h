// An agent that sends what a test tells it, on a unix socket. It may be stopped and started again at the same address.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "api/observe_metadata.h"
#include "api/sluice.grpc.pb.h"
#include "ctrl/relay/cluster_observe.h"

namespace sluice::cluster {

class FakeNode final : public v1::Sluice::Service {
 public:
  FakeNode(std::string name, std::string address) : name_(std::move(name)), address_(std::move(address)) { Start(); }
  ~FakeNode() override { Stop(); }

  void Start() {
    stopping_ = false;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    builder.SetSyncServerOption(grpc::ServerBuilder::CQ_TIMEOUT_MSEC, 100);  // else Stop may take 10 s
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr) << address_;
  }
  void Stop() {
    stopping_ = true;
    changed_.notify_all();
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  const std::string& address() const { return address_; }

  // Past events of every later stream.
  void SetPast(std::vector<v1::Event> events) {
    const std::lock_guard lock(mutex_);
    past_ = std::move(events);
  }
  // To all followers.
  void Send(const v1::Event& event) {
    const std::lock_guard lock(mutex_);
    live_.push_back(event);
    changed_.notify_all();
  }
  // Sends what `make` returns, as fast as it goes, in every later stream.
  void Flood(std::function<v1::Event()> make) {
    const std::lock_guard lock(mutex_);
    flood_ = std::move(make);
  }
  void HangStatus(bool hang) { hang_ = hang; }
  void SpoilStatus(bool spoil) { spoil_ = spoil; }
  void Stall(bool stall) { stall_ = stall; }  // past events are followed by silence, not by the end
  std::size_t followers() const {
    const std::lock_guard lock(mutex_);
    return followers_;
  }
  std::vector<v1::ObserveRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::uint64_t flooded() const { return flooded_; }

  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest*, v1::AgentStatus* reply) override {
    while (hang_ && !stopping_ && !context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    reply->set_node(name_);
    reply->set_version("1.2.3");
    reply->set_ready(true);
    if (spoil_) reply->mutable_start_time()->set_nanos(-1);
    return grpc::Status::OK;
  }
  grpc::Status Get(grpc::ServerContext*, const v1::GetRequest*, grpc::ServerWriter<v1::Object>* writer) override {
    for (const char* const kind : {"Workload", "NetworkPolicy"}) {
      v1::Object object;
      object.mutable_resource()->mutable_ref()->set_kind(kind);
      object.mutable_resource()->mutable_ref()->set_name("one");
      writer->Write(object);
    }
    return grpc::Status::OK;
  }
  grpc::Status Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                       grpc::ServerWriter<v1::Event>* writer) override {
    std::unique_lock lock(mutex_);
    requests_.push_back(*request);
    std::size_t next = live_.size();
    const std::vector<v1::Event> past =
        request->follow() && request->last() == 0 && !request->has_since() ? std::vector<v1::Event>() : past_;
    const auto flood = flood_;
    if (request->follow()) ++followers_;
    lock.unlock();
    context->AddInitialMetadata(api::kNodeKey, name_);
    writer->SendInitialMetadata();
    const std::size_t skipped =
        request->last() == 0 ? 0 : past.size() - std::min<std::size_t>(past.size(), request->last());
    for (std::size_t i = skipped; i < past.size(); ++i) writer->Write(past[i]);
    while (flood && !stopping_ && writer->Write(flood())) ++flooded_;
    lock.lock();
    const auto over = [&] { return stopping_ || context->IsCancelled() || (!request->follow() && !stall_); };
    while (!over()) {
      while (next < live_.size()) {
        const v1::Event event = live_[next++];
        lock.unlock();
        writer->Write(event);
        lock.lock();
      }
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    if (request->follow()) --followers_;
    return grpc::Status::OK;
  }

 private:
  const std::string name_;
  const std::string address_;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::Event> past_;
  std::vector<v1::Event> live_;
  std::function<v1::Event()> flood_;
  std::vector<v1::ObserveRequest> requests_;
  std::size_t followers_ = 0;
  std::atomic<std::uint64_t> flooded_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> hang_ = false;
  std::atomic<bool> spoil_ = false;
  std::atomic<bool> stall_ = false;
};

}  // namespace sluice::cluster
