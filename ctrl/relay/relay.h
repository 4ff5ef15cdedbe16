// The relay: who finds the nodes, the nodes, and what is served. Wiring only.
#pragma once

#include <memory>

#include "ctrl/relay/node_file.h"
#include "ctrl/relay/options.h"
#include "ctrl/relay/relay_service.h"
#include "telemetry/metrics/http_server.h"

namespace sluice::cluster {

class ClusterRelay {
 public:
  // Errors as CheckOptions, and as those of the servers. `version`: of the program.
  static StatusOr<std::unique_ptr<ClusterRelay>> Start(const RelayOptions& options, const std::string& version);
  ~ClusterRelay();  // ends all streams
  ClusterRelay(const ClusterRelay&) = delete;
  ClusterRelay& operator=(const ClusterRelay&) = delete;

  const Nodes& nodes() const { return *nodes_; }
  int metrics_port() const { return http_ ? http_->port() : 0; }

 private:
  ClusterRelay() = default;
  Status Begin(const RelayOptions& options, const std::string& version);
  Status FindNodes(const RelayOptions& options);
  Status ServeMetrics(const std::string& address);

  std::unique_ptr<Nodes> nodes_;
  std::unique_ptr<RelayService> service_;  // uses nodes_
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<telemetry::HttpServer> http_;
  std::unique_ptr<NodeFile> file_;  // these two set the nodes
  std::unique_ptr<KubeNodes> kube_;
};

}  // namespace sluice::cluster
