#include "telemetry/capture/packet_capture.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sluice::telemetry {
namespace {

constexpr std::size_t kReplyBytes = 512U << 10;  // after which a reply is passed on

struct Held {
  sl_capture_packet facts{};
  std::vector<std::uint8_t> bytes;
  const policy::ObjectName* workload = nullptr;
};

}  // namespace

StatusOr<WorkloadPattern> WorkloadPattern::Parse(const std::string& text) {
  if (text == "*") return WorkloadPattern();
  const auto wrong = [&] { return InvalidError("{}: expected namespace/name of a workload, namespace/* or *", text); };
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0) return wrong();
  WorkloadPattern pattern{.ns = text.substr(0, slash), .name = text.substr(slash + 1)};
  if (pattern.name.empty() || pattern.ns.find('*') != std::string::npos) return wrong();
  if (pattern.name == "*") {
    pattern.name.clear();
  } else if (pattern.name.find_first_of("*/") != std::string::npos) {
    return wrong();
  }
  return pattern;
}

bool WorkloadPattern::Matches(const policy::ObjectName& workload) const {
  return (ns.empty() || ns == workload.ns) && (name.empty() || name == workload.name);
}

PacketStream::~PacketStream() {
  for (const Source& source : sources_) capture_->Release(source.endpoint, source.workload, snaplen_);
}

bool PacketStream::Read(const Consume& consume) {
  std::vector<Held> held;
  std::uint64_t lost = 0;
  for (Source& source : sources_) {
    const auto visit = [&](capture::RingKind, const sl_capture_packet& facts, std::span<const std::uint8_t> bytes) {
      if (facts.time_ns < since_ns_) return;
      held.push_back({facts, {bytes.begin(), bytes.end()}, &source.workload});
    };
    source.reader->Read(visit);
    const std::uint64_t overwritten = source.reader->overwritten();
    lost += overwritten - std::exchange(source.overwritten, overwritten);
  }
  lost_ += lost;
  capture_->overwritten_ += lost;
  v1::CaptureReply reply;
  reply.set_lost(lost);
  if (held.empty() && lost == 0) return true;
  std::stable_sort(held.begin(), held.end(),
                   [](const Held& a, const Held& b) { return a.facts.time_ns < b.facts.time_ns; });
  if (capture_->catch_up_) capture_->catch_up_();
  const FlowContext context = capture_->assembler_->Capture();
  std::size_t bytes = 0;
  for (const Held& one : held) {
    const std::uint32_t snaplen = options_.snaplen == 0 ? SL_CAPTURE_SNAPLEN_MAX : options_.snaplen;
    namer_.Add(context, *one.workload, one.facts, one.bytes, snaplen, &reply);
    bytes += one.bytes.size() + 64;
    if (bytes < kReplyBytes && reply.flows_size() < 256) continue;
    if (!consume(std::exchange(reply, {}))) return false;
    bytes = 0;
  }
  if (reply.packets_size() != 0 || reply.lost() != 0) return consume(std::move(reply));
  return true;
}

PacketCapture::PacketCapture(Options options, capture::CaptureRings* rings, FlowAssembler* assembler, CatchUp catch_up)
    : options_(std::move(options)), rings_(rings), assembler_(assembler), catch_up_(std::move(catch_up)) {}

void PacketCapture::Start(OnDenied on_denied) {
  on_denied_ = std::move(on_denied);
  FollowWorkloads();
  thread_ = std::thread(&PacketCapture::Run, this);
}

void PacketCapture::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PacketCapture::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, options_.interval, [this] { return stopping_; })) {
    lock.unlock();
    FollowWorkloads();
    if (on_denied_) LookForDenials();
    lock.lock();
  }
}

bool PacketCapture::IsAlways(const policy::ObjectName& workload) const {
  return std::ranges::any_of(options_.workloads,
                             [&](const WorkloadPattern& pattern) { return pattern.Matches(workload); });
}

capture::RingOptions PacketCapture::RingOf(const Captured& one) const {
  capture::RingOptions ring = options_.ring;
  const std::uint32_t held = one.holds.empty() ? 0 : *one.holds.rbegin();
  ring.snaplen = one.always ? std::max(ring.snaplen, held) : held;
  return ring;
}

// Keeps the workload's packets as it is wanted now. Under the lock.
Status PacketCapture::Apply(std::uint32_t endpoint, Captured* one) {
  const bool is_new = !rings_->OptionsOf(endpoint);
  SL_RETURN_IF_ERROR(rings_->Start(endpoint, RingOf(*one)));
  if (is_new) one->watcher.reset();
  if (one->watcher || !one->always || !on_denied_) return OkStatus();
  SL_ASSIGN_OR_RETURN(one->watcher, rings_->Open(endpoint));
  return OkStatus();
}

// Under the lock. Nothing of a workload that nobody wants any more is left.
void PacketCapture::DropHold(std::uint32_t endpoint, std::uint32_t snaplen) {
  const auto known = captured_.find(endpoint);
  if (known == captured_.end()) return;
  const auto hold = known->second.holds.find(snaplen);
  if (hold != known->second.holds.end()) known->second.holds.erase(hold);
  const bool wanted = known->second.always || !known->second.holds.empty();
  const Status status = wanted ? Apply(endpoint, &known->second) : rings_->Stop(endpoint);
  if (!status.ok()) LogWarn("{}", Message(status));
  if (!wanted) captured_.erase(known);
}

// The number of a workload that is gone may belong to another one: its rings begin empty.
void PacketCapture::FollowWorkloads() {
  const auto names = assembler_->Capture().EndpointNames();
  const std::lock_guard lock(mutex_);
  for (auto one = captured_.begin(); one != captured_.end();) {
    const auto now = names.find(one->first);
    if (now != names.end() && now->second == one->second.workload) {
      ++one;
      continue;
    }
    if (const Status status = rings_->Stop(one->first); !status.ok()) LogWarn("{}", Message(status));
    one = captured_.erase(one);
  }
  Status kept = OkStatus();
  for (const auto& [endpoint, workload] : names) {
    if (!IsAlways(workload)) continue;
    Captured& one = captured_[endpoint];
    one.workload = workload;
    one.always = true;
    kept.Update(Apply(endpoint, &one));
  }
  const std::string problem = kept.ok() ? "" : Message(kept);
  if (problem != problem_ && !kept.ok()) LogWarn("packets of some workloads are not kept: {}", problem);
  problem_ = problem;
}

void PacketCapture::LookForDenials() {
  std::map<std::uint32_t, std::pair<policy::ObjectName, sl_capture_packet>> denied;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [endpoint, one] : captured_) {
      if (!one.watcher || !one.watcher->HasNewDrops()) continue;
      one.watcher->ReadDrops([&, number = endpoint, &workload = one.workload](const sl_capture_packet& facts) {
        if (facts.outcome == SL_DROP_POLICY_DENIED) denied.try_emplace(number, workload, facts);
      });
    }
  }
  if (denied.empty()) return;
  if (catch_up_) catch_up_();
  const FlowContext context = assembler_->Capture();
  for (const auto& [endpoint, first] : denied)
    on_denied_(first.first, DescribePacket(context, first.first, first.second));
}

Status PacketCapture::Hold(std::uint32_t endpoint, const policy::ObjectName& workload, std::uint32_t snaplen) {
  Captured& one = captured_[endpoint];
  one.workload = workload;
  one.always = IsAlways(workload);
  one.holds.insert(snaplen);
  Status held = Apply(endpoint, &one);
  if (!held.ok()) DropHold(endpoint, snaplen);
  return held;
}

void PacketCapture::Release(std::uint32_t endpoint, const policy::ObjectName& workload, std::uint32_t snaplen) {
  const std::lock_guard lock(mutex_);
  const auto known = captured_.find(endpoint);
  if (known != captured_.end() && known->second.workload == workload) DropHold(endpoint, snaplen);
}

StatusOr<std::unique_ptr<PacketStream>> PacketCapture::Follow(const std::vector<policy::ObjectName>& workloads,
                                                              FollowOptions options) {
  if (options.snaplen > SL_CAPTURE_SNAPLEN_MAX)
    return InvalidError("{} bytes of each packet: at most {} are kept", options.snaplen, SL_CAPTURE_SNAPLEN_MAX);
  const auto names = assembler_->Capture().EndpointNames();
  const std::uint64_t now = assembler_->Now();
  std::unique_ptr<PacketStream> stream(new PacketStream(this, std::move(options)));
  if (const auto before = stream->options_.before)
    stream->since_ns_ = now - std::min<std::uint64_t>(now, static_cast<std::uint64_t>(before->count()));
  stream->snaplen_ = stream->options_.snaplen == 0 ? options_.ring.snaplen : stream->options_.snaplen;
  const std::lock_guard lock(mutex_);
  std::map<std::uint32_t, policy::ObjectName> wanted;
  for (const policy::ObjectName& workload : workloads) {
    const auto found = std::ranges::find_if(names, [&](const auto& one) { return one.second == workload; });
    if (found == names.end())
      return MakeError(absl::StatusCode::kNotFound, "Workload {}: no such workload on this node", workload.ToString());
    wanted.insert(*found);
  }
  if (workloads.empty())
    for (const auto& [endpoint, one] : captured_) wanted.emplace(endpoint, one.workload);
  if (wanted.empty())
    return MakeError(absl::StatusCode::kNotFound,
                     "no workload's packets are kept: name one, or start the agent with --capture");
  // Not in the stream before all are there: its destructor, which releases them, takes the lock.
  std::vector<PacketStream::Source> sources;
  Status status = OkStatus();
  for (const auto& [endpoint, workload] : wanted) {
    status = Hold(endpoint, workload, stream->snaplen_);
    if (!status.ok()) break;
    PacketStream::Source source{.workload = workload, .endpoint = endpoint};
    auto reader = rings_->Open(endpoint);
    status = reader.status();
    if (status.ok()) source.reader = *std::move(reader);
    sources.push_back(std::move(source));
    if (!status.ok()) break;
  }
  if (!status.ok()) {
    for (const PacketStream::Source& source : sources) DropHold(source.endpoint, stream->snaplen_);
    return status;
  }
  stream->sources_ = std::move(sources);
  return stream;
}

std::vector<policy::ObjectName> PacketCapture::captured() const {
  const std::lock_guard lock(mutex_);
  std::vector<policy::ObjectName> names;
  for (const auto& [endpoint, one] : captured_) names.push_back(one.workload);
  return names;
}

}  // namespace sluice::telemetry
