// Network configurations as network plugins install them, and the rules by which runtimes load a directory of them.
#pragma once

#include <string>
#include <vector>

namespace sluice::test {

// A single configuration.
inline constexpr const char* kBridgeConf = R"({
  "cniVersion": "0.3.1", "name": "mynet", "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
  "ipam": {"type": "host-local", "subnet": "10.22.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}
})";
inline constexpr const char* kPtpList = R"({
  "cniVersion": "0.4.0", "name": "kindnet",
  "plugins": [
    {"type": "ptp", "ipMasq": false, "mtu": 1500,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}]], "dataDir": "/run/cni-ipam-state"}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
})";
inline constexpr const char* kFlannelList = R"({
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
)";
inline constexpr const char* kCalicoList = R"({
  "name": "k8s-pod-network", "cniVersion": "1.0.0", "disableCheck": true,
  "plugins": [
    {"type": "calico", "log_level": "info", "datastore_type": "kubernetes", "nodename": "node-1", "mtu": 0,
     "ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"},
     "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"}},
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}},
    {"type": "bandwidth", "capabilities": {"bandwidth": true}}
  ]
})";

struct LoadedNetwork {
  std::string file;                  // the first by name
  std::string error;                 // why a runtime would not load it; empty: it would
  std::string name;                  // of the network
  std::vector<std::string> plugins;  // types, in the order in which they are called
};

// As libcni does, with drop-ins (1.3) or without. Only the binary of sluice-cni is looked for: the others are another
// package's.
LoadedNetwork LoadNetwork(const std::string& conf_dir, const std::string& bin_dir, bool drop_ins = true);

}  // namespace sluice::test
