// A client of the Kubernetes API server: keeps the objects of some resources up to date by list and watch, and sends
// writes. One thread, one libcurl multi handle, one HTTP/2 connection for all of it.
//
//   SL_ASSIGN_OR_RETURN(ApiConfig config, InClusterConfig());
//   SL_ASSIGN_OR_RETURN(auto client, Client::Create(std::move(config), {SpecOf(Kind::kPod)}, sink));
//   ...                 // `sink` is called on the client's thread
//   client.reset();     // ends it; no call follows
//
// No failure is fatal: the client tries again with backoff until it is destroyed, and what is known stays known.
// docs/kubernetes.md has the rules. Send and state are thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "ctrl/kube/config.h"
#include "ctrl/kube/environment.h"
#include "ctrl/kube/options.h"
#include "ctrl/kube/resource_spec.h"
#include "ctrl/kube/sink.h"
#include "ctrl/kube/state.h"
#include "ctrl/kube/writer.h"

namespace sluice::kube {

class Client {
 public:
  // Starts the thread. `sink` must outlive the client. Error: a file of the credentials cannot be read; whether the
  // server answers is found out later.
  static StatusOr<std::unique_ptr<Client>> Create(ApiConfig config, std::vector<ResourceSpec> resources, Sink& sink,
                                                  const ClientOptions& options = {},
                                                  const Environment& environment = RealEnvironment());
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Send(Write write);
  ClientState state() const;

 private:
  class Loop;
  explicit Client(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace sluice::kube
