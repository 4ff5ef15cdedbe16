#include "perf/rate/topology.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/system.h"
#include "perf/cpu.h"
#include "perf/net/allow.h"
#include "perf/rate/frame.h"
#include "perf/rate/programs.h"

namespace sluice::perf {
namespace {

constexpr auto kQuiet = std::chrono::milliseconds(5);

// Packets received by an interface of this thread's namespace.
StatusOr<std::uint64_t> ReceivedBy(const std::string& interface) {
  std::ifstream file("/proc/thread-self/net/dev");
  for (std::string line; std::getline(file, line);) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos || line.compare(begin, interface.size() + 1, interface + ":") != 0) continue;
    std::istringstream fields(line.substr(begin + interface.size() + 1));
    std::uint64_t bytes = 0, packets = 0;
    if (fields >> bytes >> packets) return packets;
  }
  return MakeError(absl::StatusCode::kNotFound, "no packet counters of {}", interface);
}

// Packets that passed the node's input, as counted by IP.
StatusOr<std::uint64_t> DeliveredLocally() {
  std::ifstream file("/proc/thread-self/net/snmp");
  std::string names, values;
  if (!std::getline(file, names) || !std::getline(file, values))
    return MakeError(absl::StatusCode::kUnavailable, "no IP counters");
  std::istringstream name_list(names), value_list(values);
  for (std::string name, value; name_list >> name && value_list >> value;)
    if (name == "InDelivers") return std::stoull(value);
  return MakeError(absl::StatusCode::kNotFound, "no IP counter InDelivers");
}

// Waits until no interface of this thread's namespace has sent or received for a while, so that IPv6's reports at start
// are over.
Status WaitUntilSilent() {
  constexpr auto kSilence = std::chrono::milliseconds(60);  // a report follows another within three jiffies
  constexpr int kRounds = 100;
  std::string before;
  for (int i = 0; i < kRounds; ++i) {
    std::ifstream file("/proc/thread-self/net/dev");
    std::string now{std::istreambuf_iterator<char>(file), {}};
    if (!now.empty() && now == before) return OkStatus();
    before = std::move(now);
    std::this_thread::sleep_for(kSilence);
  }
  return MakeError(absl::StatusCode::kDeadlineExceeded, "the interfaces of a topology do not become silent");
}

}  // namespace

StatusOr<std::unique_ptr<Topology>> Topology::Create(const Options& options) {
  std::unique_ptr<Topology> topology(new Topology(options));
  SL_RETURN_IF_ERROR(topology->Build());
  return topology;
}

Status Topology::Build() {
  static int topologies = 0;
  const bool uplink = options_.wire == Wire::kUplink;
  test::TestNode::Options options;
  options.pods = {"web"};
  if (!uplink || options_.bystander) options.pods.emplace_back("db");
  options.outside = uplink;
  SL_ASSIGN_OR_RETURN(node_, test::TestNode::Create(options));
  std::vector<const test::TestNetNs*> all = {&node_->netns(), &node_->netns(sender()), &node_->netns(receiver())};
  if (options_.bystander) all.push_back(&node_->netns(bystander()));
  for (const test::TestNetNs* netns : all) {
    // IPv6's multicast reports would be counted as packets.
    if (!v6()) SL_RETURN_IF_ERROR(netns->Sysctl("net/ipv6/conf/all/disable_ipv6", "1"));
  }
  if (v6()) SL_RETURN_IF_ERROR(node_->Run([] { return WaitUntilSilent(); }));
  // A veth end needs GRO to take frames of a generator or of XDP.
  const auto take_frames = [](const std::string& interface) {
    return test::RunChecked({"ethtool", "-K", interface, "gro", "on"});
  };
  SL_RETURN_IF_ERROR(node_->Run([&] { return take_frames(At(Place::kNode).name); }));
  SL_RETURN_IF_ERROR(node_->Run([&] { return take_frames(receiver().host_interface); }));
  SL_RETURN_IF_ERROR(node_->RunIn(sender(), [&] { return take_frames("eth0"); }));
  // Frames of an interface with segmentation bypass the peer's NAPI, unless XDP is attached.
  SL_RETURN_IF_ERROR(node_->RunIn(sender(), [&] { return test::RunChecked({"ethtool", "-K", "eth0", "tso", "off"}); }));
  if (uplink) SL_RETURN_IF_ERROR(node_->RunIn(receiver(), [&] { return take_frames("eth0"); }));

  SL_ASSIGN_OR_RETURN(programs_, LoadRatePrograms());
  SL_ASSIGN_OR_RETURN(const int cpus, bpf::PossibleCpus());
  arrivals_ = bpf::PerCpuArray<std::uint64_t>(programs_->map_fd("arrived"), "arrived", cpus);
  SL_ASSIGN_OR_RETURN(generator_, MakeGenerator(GeneratorKind::kLiveFrames, sender()));
  SL_ASSIGN_OR_RETURN(answering_, MakeGenerator(GeneratorKind::kLiveFrames, receiver()));
  pins_ = fmt::format("/sys/fs/bpf/slbench-{}-topology-{}", getpid(), topologies++);
  return mkdir(pins_.c_str(), 0700) == 0 ? OkStatus() : ErrnoError(errno, "make {}", pins_);
}

Topology::~Topology() {
  for (const std::string& pin : attached_)
    if (const Status status = bpf::DetachLink(pin); !status.ok()) LogWarn("{}: {}", pin, Message(status));
  if (!pins_.empty()) rmdir(pins_.c_str());
}

Topology::Interface Topology::At(Place place) const {
  if (place == Place::kNode) return {&node_->netns(), sender().host_interface, sender().host_ifindex};
  const test::TestPod& pod = place == Place::kSender ? sender() : receiver();
  return {&node_->netns(pod), "eth0", pod.pod_ifindex};
}

std::string Topology::NewPin(const std::string& program, Place place) {
  occupied_[static_cast<int>(place)] = true;
  attached_.push_back(fmt::format("{}/{}-{}", pins_, program, static_cast<int>(place)));
  return attached_.back();
}

Status Topology::AttachXdp(const std::string& program, Place place) {
  const Interface at = At(place);
  const std::string pin = NewPin(program, place);
  return at.netns->Run([&]() -> Status {
    SL_ASSIGN_OR_RETURN(const auto link,
                        bpf::AttachXdp(bpf::OwnAdminCalls(), programs_->program_fd(program), at.ifindex, pin));
    return link.mode == "xdp native" ? OkStatus() : InvalidError("{} at {} is {}", program, at.name, link.mode);
  });
}

Status Topology::AttachTc(const std::string& program, Place place) {
  const Interface at = At(place);
  const std::string pin = NewPin(program, place);
  return at.netns->Run([&]() -> Status {
    SL_ASSIGN_OR_RETURN(const auto link,
                        bpf::AttachTc(programs_->program_fd(program), at.ifindex, bpf::TcDirection::kIngress, pin));
    return link.mode == "tcx" ? OkStatus() : InvalidError("{} at {} is {}", program, at.name, link.mode);
  });
}

Status Topology::AimRedirects() {
  const std::uint32_t ifindex = receiver().host_ifindex;
  SL_ASSIGN_OR_RETURN(const auto peer, (bpf::Map<__u32, __u32>::Bind(programs_->map_fd("peer"), "peer")));
  SL_RETURN_IF_ERROR(peer.Put(0, ifindex));
  SL_ASSIGN_OR_RETURN(const auto device, (bpf::Map<__u32, __u32>::Bind(programs_->map_fd("device"), "device")));
  return node_->Run([&] { return device.Put(0, ifindex); });  // the kernel resolves the index in this namespace
}

Status Topology::Command(const std::vector<std::string>& arguments, const std::string& input) const {
  return node_->Run([&] { return test::RunChecked(arguments, input); });
}

StatusOr<Topology::Counts> Topology::Count() const {
  Counts counts;
  SL_RETURN_IF_ERROR(node_->Run([&]() -> Status {
    SL_ASSIGN_OR_RETURN(counts.entered, ReceivedBy(At(Place::kNode).name));
    if (options_.arrival == Arrival::kLocalStack) {
      SL_ASSIGN_OR_RETURN(counts.arrived, DeliveredLocally());
    }
    return OkStatus();
  }));
  if (options_.arrival == Arrival::kLocalStack) return counts;
  SL_ASSIGN_OR_RETURN(const auto values, arrivals_.Get(0));
  counts.arrived = std::accumulate(values.begin(), values.end(), std::uint64_t{0});
  return counts;
}

Status Topology::ReceiveOn(int cpu) {
  return node_->Run([&]() -> Status {
    SL_ASSIGN_OR_RETURN(receiving_, NapiThread::Start(At(Place::kNode).name, cpu));
    return OkStatus();
  });
}

StatusOr<std::unique_ptr<Generator>> Topology::MakeGenerator(GeneratorKind kind, const test::TestPod& pod) const {
  switch (kind) {
    case GeneratorKind::kLiveFrames:
      return MakeLiveFrames(*programs_, pod.pod_ifindex);
    case GeneratorKind::kAfXdp:
      return MakeAfXdp();
    case GeneratorKind::kDpdkAfPacket:
      return MakeDpdk("net_af_packet");
    case GeneratorKind::kDpdkAfXdp:
      return MakeDpdk("net_af_xdp");
  }
  return InvalidError("no such generator");
}

Status Topology::GenerateBy(GeneratorKind kind) {
  return node_->RunIn(sender(), [&]() -> Status {
    SL_ASSIGN_OR_RETURN(generator_, MakeGenerator(kind, sender()));
    return OkStatus();
  });
}

StatusOr<std::uint64_t> Topology::ReceiverTime() const {
  return receiving_ ? receiving_->RunTime() : SoftirqThreadTime(sched_getcpu());
}

StatusOr<perf_load> Topology::Describe(const Load& load) const {
  const test::TestPod& from = load.answer ? receiver() : sender();
  const test::TestPod& to = load.answer ? sender() : receiver();
  perf_load config{.state = load.first_flow,
                   .flows = load.flows,
                   .random = load.random,
                   .by_address = load.from != From::kSender,
                   .stride = load.from == From::kListedBlocks ? kListedBlockSize : 1,
                   .answer = load.answer,
                   .v6 = v6()};
  Ends ends{.source_mac = from.pod_mac, .destination_mac = from.host_mac, .source = AddressOf(from)};
  if (load.from == From::kListed) ends.source = ListedAddress(0, v6());
  if (load.from == From::kListedBlocks) ends.source = InListedBlock(0, v6());
  if (load.from == From::kStrangers) ends.source = v6() ? "2001:db8:ffff::1" : "203.0.113.1";
  ends.destination = AddressOf(to);
  if (load.to_bystander) ends.destination = AddressOf(bystander());
  if (load.to_node) ends.destination = v6() ? node_->ip6() : node_->ip4();
  SL_RETURN_IF_ERROR(FillHeaders(ends, &config));
  return config;
}

StatusOr<Passage> Topology::Send(const Load& load) const {
  const test::TestPod& from = load.answer ? receiver() : sender();
  SL_ASSIGN_OR_RETURN(const perf_load config, Describe(load));
  Passage passage;
  SL_ASSIGN_OR_RETURN(const Counts before, Count());
  SL_ASSIGN_OR_RETURN(const std::uint64_t time_before, ReceiverTime());
  Generator& generator = load.answer ? *answering_ : *generator_;
  SL_RETURN_IF_ERROR(node_->RunIn(from, [&]() -> Status {
    GoFirst();
    SL_ASSIGN_OR_RETURN(passage.nanoseconds, generator.Send(config, load.packets));
    return OkStatus();
  }));
  SL_ASSIGN_OR_RETURN(Counts after, Count());
  for (;;) {  // usually nothing is left
    std::this_thread::sleep_for(kQuiet);
    SL_ASSIGN_OR_RETURN(const Counts now, Count());
    const bool quiet = now.entered == after.entered && now.arrived == after.arrived;
    after = now;
    if (quiet) break;
  }
  SL_ASSIGN_OR_RETURN(const std::uint64_t time_after, ReceiverTime());
  if (receiving_) passage.nanoseconds = 0;  // that was the generator's time
  passage.nanoseconds += time_after - time_before;
  passage.entered = after.entered - before.entered;
  passage.arrived = after.arrived - before.arrived;
  return passage;
}

}  // namespace sluice::perf
