// Sluice on a node of network namespaces. The agent's own code binds, compiles, commits and attaches, with the agent's
// table sizes. The destructor undoes everything. For one thread, except for events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/bpf/service_programs.h"
#include "kernel/datapath/bpf_datapath.h"
#include "policy/service/service.h"
#include "testbed/netns.h"

namespace sluice::perf {

class SluiceNode {
 public:
  struct Options {
    std::string resources;  // YAML; workloads by their namespace
    bool uplink = false;    // also attached to the node's uplink
    bool redirects = true;
    // Translated at the workloads' sockets. Then programs are attached to the root of the cgroups: they run, and end
    // at once, at calls of every process of the machine. Null: none are attached.
    std::shared_ptr<const policy::ServiceTable> services;
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
  std::unique_ptr<bpf::ServicePrograms> programs_;
};

// A Workload document of one of the node's pods, labelled app: NAME.
std::string WorkloadYaml(const test::TestPod& pod);

}  // namespace sluice::perf
