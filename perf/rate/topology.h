// A node with its own traffic: a sender, a receiver, and counts of packets along the way. Each measured case has its
// own topology, so that nothing is attached or loaded between samples.
//
//   kUplink: the outside sends to the pod "web" through the node's uplink; the pod's end takes frames from XDP
//   kPods:   the pod "web" sends to the pod "db"
//
// The sender and all its softirqs run on the calling thread's CPU. After ReceiveOn, everything from the node's receive
// on runs on another CPU.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/testing/program_set.h"
#include "perf/bpf/load.h"
#include "perf/rate/generator.h"
#include "perf/rate/napi_thread.h"
#include "testbed/netns.h"

namespace sluice::perf {

enum class Wire { kUplink, kPods };
enum class Place { kSender, kNode, kReceiver };  // their interfaces; kNode: where the sender's packets arrive
enum class Arrival { kSink, kLocalStack };       // where packets end that are not dropped

// The source of packets: the sender, with different ports for each flow; or addresses of a list (perf/net/allow.h), or
// strangers, with a different source address for each flow.
enum class From { kSender, kListed, kListedBlocks, kStrangers };

// Packets of many flows from the sender to the receiver.
struct Load {
  std::uint32_t packets = 0;
  std::uint32_t flows = 1;
  bool random = true;  // a random flow for each packet; else in turn
  From from = From::kSender;
  bool answer = false;           // the receiver sends, from its service's ports
  bool to_node = false;          // to the node itself
  bool to_bystander = false;     // to the pod that only Options.bystander makes
  std::uint64_t first_flow = 0;  // in turn: the first flow
};

// The result of one Send.
struct Passage {
  // CPU time of this CPU, including the generator's share; with a receiver on another CPU, only that CPU's.
  std::uint64_t nanoseconds = 0;
  std::uint64_t entered = 0;  // packets that arrived at the node
  std::uint64_t arrived = 0;  // packets that arrived at the end
};

class Topology {
 public:
  struct Options {
    Wire wire = Wire::kUplink;
    Arrival arrival = Arrival::kSink;
    bool v6 = false;         // all traffic is IPv6; else IPv4
    bool bystander = false;  // kUplink: the node has a pod "db" too
  };
  static StatusOr<std::unique_ptr<Topology>> Create(const Options& options);
  ~Topology();

  const test::TestNode& node() const { return *node_; }
  bool v6() const { return options_.v6; }
  const test::TestPod& sender() const { return options_.wire == Wire::kUplink ? node_->outside() : node_->pod("web"); }
  const test::TestPod& receiver() const { return node_->pod(options_.wire == Wire::kUplink ? "web" : "db"); }

  const test::TestPod& bystander() const { return node_->pod("db"); }

  // Attaches programs of perf/bpf/rate.bpf.c. A sink counts arrivals.
  Status AttachXdp(const std::string& program, Place place);
  Status AttachTc(const std::string& program, Place place);
  bool HasProgram(Place place) const { return occupied_[static_cast<int>(place)]; }  // attached by the two above
  // Sets the receiver as target of rate_xdp_redirect and rate_tc_redirect_peer.
  Status AimRedirects();
  // Call it after everything was attached.
  Status ReceiveOn(int cpu);
  // Another generator makes the sender's packets from now on. Call it after everything was attached.
  Status GenerateBy(GeneratorKind kind);
  // Keeps `fd` open as long as the topology lives.
  void Keep(Fd fd) { kept_.push_back(std::move(fd)); }
  // Runs a program in the node's namespace.
  Status Command(const std::vector<std::string>& arguments, const std::string& input = {}) const;

  const std::string& AddressOf(const test::TestPod& pod) const { return options_.v6 ? pod.ip6 : pod.ip4; }

  // Returns when no packet is on its way any more.
  StatusOr<Passage> Send(const Load& load) const;

 private:
  struct Interface {
    const test::TestNetNs* netns = nullptr;
    std::string name;
    std::uint32_t ifindex = 0;
  };
  struct Counts {
    std::uint64_t entered = 0;
    std::uint64_t arrived = 0;
  };
  explicit Topology(const Options& options) : options_(options) {}
  Status Build();
  Interface At(Place place) const;
  StatusOr<perf_load> Describe(const Load& load) const;
  std::string NewPin(const std::string& program, Place place);
  StatusOr<std::unique_ptr<Generator>> MakeGenerator(GeneratorKind kind, const test::TestPod& pod) const;
  StatusOr<Counts> Count() const;
  StatusOr<std::uint64_t> ReceiverTime() const;

  const Options options_;
  std::unique_ptr<test::TestNode> node_;
  std::optional<bpf::ProgramSet> programs_;
  bpf::PerCpuArray<std::uint64_t> arrivals_;
  std::string pins_;
  std::vector<std::string> attached_;  // pins
  std::optional<NapiThread> receiving_;
  std::unique_ptr<Generator> generator_;  // the sender's
  std::unique_ptr<Generator> answering_;  // the receiver's
  std::vector<Fd> kept_;
  bool occupied_[3] = {};  // indexed by Place
};

}  // namespace sluice::perf
