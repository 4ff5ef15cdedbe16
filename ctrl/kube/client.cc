#include "ctrl/kube/client.h"

#include <simdjson.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "ctrl/kube/curl_transport.h"
#include "ctrl/kube/list_watch.h"

namespace sluice::kube {
namespace {

constexpr std::chrono::milliseconds kLongestWait = std::chrono::seconds(10);  // credentials are looked at in between

}  // namespace

class Client::Loop {
 public:
  Loop(std::string server, std::unique_ptr<CurlTransport> transport, const std::vector<ResourceSpec>& resources,
       Sink& sink, const ClientOptions& options, const Environment& environment)
      : transport_(std::move(transport)),
        shared_{.options = options,
                .environment = environment,
                .transport = transport_.get(),
                .sink = &sink,
                .parser = &parser_},
        writer_(shared_.options, shared_.environment, *transport_, parser_) {
    state_.server = std::move(server);
    for (const ResourceSpec& spec : resources) watches_.push_back(std::make_unique<ListWatch>(spec, shared_));
    Publish();
    thread_ = std::thread([this] { Run(); });
  }

  ~Loop() {
    stop_ = true;
    transport_->Wake();
    thread_.join();
  }

  void Send(Write write) {
    writer_.Send(std::move(write));
    transport_->Wake();
  }

  ClientState state() const {
    ClientState state = [this] {
      const std::lock_guard lock(mutex_);
      return state_;
    }();
    state.writes = writer_.state();
    return state;
  }

 private:
  void Run() {
    while (!stop_) {
      transport_->RefreshCredentials();
      TimePoint next = shared_.environment.now() + kLongestWait;
      for (const auto& watch : watches_) {
        watch->Tick();
        next = std::min(next, watch->NextTick());
      }
      writer_.Tick();
      next = std::min(next, writer_.NextTick());
      Publish();
      const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - shared_.environment.now());
      transport_->Run(std::max(wait, std::chrono::milliseconds(0)));
      for (const auto& watch : watches_) watch->Flush();
      Publish();
    }
  }

  void Publish() {
    const std::lock_guard lock(mutex_);
    state_.resources.resize(watches_.size());
    for (std::size_t i = 0; i < watches_.size(); ++i) state_.resources[i] = watches_[i]->state();
    state_.credentials_error = Message(transport_->credentials_status());
  }

  const std::unique_ptr<CurlTransport> transport_;
  simdjson::dom::parser parser_;  // of everything, as one thread parses one text after the other
  const ListWatch::Shared shared_;
  Writer writer_;
  std::vector<std::unique_ptr<ListWatch>> watches_;
  mutable std::mutex mutex_;
  ClientState state_;  // guarded by mutex_
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

StatusOr<std::unique_ptr<Client>> Client::Create(ApiConfig config, std::vector<ResourceSpec> resources, Sink& sink,
                                                 const ClientOptions& options, const Environment& environment) {
  std::string server = config.server;
  SL_ASSIGN_OR_RETURN(auto transport, CurlTransport::Create(std::move(config), options.timing, environment));
  return std::unique_ptr<Client>(new Client(
      std::make_unique<Loop>(std::move(server), std::move(transport), resources, sink, options, environment)));
}

Client::Client(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Client::~Client() = default;
void Client::Send(Write write) { loop_->Send(std::move(write)); }
ClientState Client::state() const { return loop_->state(); }

}  // namespace sluice::kube
