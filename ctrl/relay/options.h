// The relay's command line and configuration file.
#pragma once

#include <string>
#include <vector>

#include "ctrl/api/server.h"
#include "ctrl/relay/kube_nodes.h"
#include "ctrl/relay/nodes.h"

namespace sluice::cluster {

struct RelayOptions {
  api::ServerOptions listen{
      .flag = "--listen", .tls_flags = "--listen-tls", .address = "unix:///run/sluice/relay.sock"};
  std::string metrics = "127.0.0.1:9465";  // empty: not served
  std::string name = "relay";
  std::vector<NodeAddress> agents;
  std::string agents_file;                                                           // empty: none
  KubeNodesOptions kube{.selector = "app.kubernetes.io/name=sluice", .port = 9471};  // without `kube`: not asked
  AgentTls tls;
  std::uint32_t hold_ms = 500;
  std::uint32_t max_nodes = 1024;
  bool debug = false;
};

// Returns -1 to go on, else the exit code (0 after --help, 2 after a message about what is wrong).
int ParseOptions(int argc, char** argv, RelayOptions* options);

// InvalidArgument: options that do not go together, or files that cannot be used.
Status CheckOptions(const RelayOptions& options);

}  // namespace sluice::cluster
