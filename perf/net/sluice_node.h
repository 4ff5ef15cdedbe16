// Sluice on a node of network namespaces, by the agent's own code: workloads are bound, compiled, committed and
// attached as the agent does it, with its table sizes. Takes everything back in its destructor. For one thread but for
// events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/datapath/bpf_datapath.h"
#include "testbed/netns.h"

namespace sluice::perf {

class SluiceNode {
 public:
  struct Options {
    std::string resources;  // YAML; workloads by their namespace
    bool uplink = false;    // also on the node's card
    bool redirects = true;
  };
  // `node` must live longer.
  static StatusOr<std::unique_ptr<SluiceNode>> Start(const test::TestNode& node, const Options& options);
  ~SluiceNode();
  SluiceNode(const SluiceNode&) = delete;
  SluiceNode& operator=(const SluiceNode&) = delete;

  datapath::BpfDatapath& datapath() { return *datapath_; }

 private:
  SluiceNode(const test::TestNode& node, std::string root) : node_(node), root_(std::move(root)) {}
  Status Open(const Options& options);

  const test::TestNode& node_;
  const std::string root_;
  std::unique_ptr<datapath::BpfDatapath> datapath_;
};

// A Workload document of one of the node's pods, labelled app: NAME.
std::string WorkloadYaml(const test::TestPod& pod);

}  // namespace sluice::perf
