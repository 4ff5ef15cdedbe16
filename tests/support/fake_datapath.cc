#include "tests/support/fake_datapath.h"

#include <algorithm>
#include <cstring>

namespace sluice::test {

using datapath::AttachedProgram;
using datapath::FlowRecord;

void FakeDatapath::FailNext(const std::string& method, Status error) {
  const std::lock_guard lock(mutex_);
  failures_[method].push_back(std::move(error));
}

Status FakeDatapath::Fail(const std::string& method) {
  const auto failures = failures_.find(method);
  if (failures == failures_.end() || failures->second.empty()) return OkStatus();
  Status error = std::move(failures->second.front());
  failures->second.pop_front();
  return error;
}

std::vector<std::string> FakeDatapath::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

void FakeDatapath::ClearCalls() {
  const std::lock_guard lock(mutex_);
  calls_.clear();
}

policy::Tables FakeDatapath::tables() const {
  const std::lock_guard lock(mutex_);
  return tables_;
}

std::map<std::uint32_t, datapath::PodInterface> FakeDatapath::pods() const {
  const std::lock_guard lock(mutex_);
  return pods_;
}

void FakeDatapath::SetLimits(const policy::Limits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

void FakeDatapath::AddAttached(const AttachedProgram& program) {
  const std::lock_guard lock(mutex_);
  attached_.push_back(program);
}

void FakeDatapath::AddFlow(const FlowRecord& flow) {
  const std::lock_guard lock(mutex_);
  flows_.push_back(flow);
}

void FakeDatapath::AddEvent(const sl_flow_event& event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
}

std::size_t FakeDatapath::waiting_events() const {
  const std::lock_guard lock(mutex_);
  return events_.size();
}

void FakeDatapath::SetCounters(const datapath::Counters& counters) {
  const std::lock_guard lock(mutex_);
  counters_ = counters;
}

void FakeDatapath::SetMaps(std::vector<datapath::MapUsage> maps) {
  const std::lock_guard lock(mutex_);
  maps_ = std::move(maps);
}

void FakeDatapath::SetIntegrity(const datapath::Integrity& integrity) {
  const std::lock_guard lock(mutex_);
  integrity_ = integrity;
}

void FakeDatapath::SetQuarantineAllow(const std::vector<policy::Prefix>& peers) {
  const std::lock_guard lock(mutex_);
  quarantine_.allow = peers;
}

datapath::Integrity FakeDatapath::integrity() const {
  const std::lock_guard lock(mutex_);
  return integrity_;
}

void FakeDatapath::SetProgramRuns(std::vector<datapath::ProgramRuns> runs) {
  const std::lock_guard lock(mutex_);
  runs_ = std::move(runs);
}

void FakeDatapath::WhileCommitting(std::function<void()> run) {
  const std::lock_guard lock(mutex_);
  while_committing_ = std::move(run);
}

Status FakeDatapath::Commit(const policy::Tables& tables) {
  std::function<void()> run;
  {
    const std::lock_guard lock(mutex_);
    run = while_committing_;
  }
  if (run) run();
  const std::lock_guard lock(mutex_);
  calls_.emplace_back("Commit");
  SL_RETURN_IF_ERROR(Fail("Commit"));
  tables_ = tables;
  generation_++;
  return OkStatus();
}

std::uint64_t FakeDatapath::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

void FakeDatapath::Reset() {
  const std::lock_guard lock(mutex_);
  tables_ = {};
  generation_ = 0;
  pods_.clear();
  attached_.clear();
  quarantine_ = {};
}

std::map<std::uint32_t, std::uint32_t> FakeDatapath::EndpointsInForce() const {
  const std::lock_guard lock(mutex_);
  std::map<std::uint32_t, std::uint32_t> endpoints;
  for (const auto& [address, value] : tables_.addresses) {
    if (value.endpoint != 0 && value.ifindex != 0) endpoints[value.ifindex] = value.endpoint;
  }
  return endpoints;
}

policy::Limits FakeDatapath::limits() const {
  const std::lock_guard lock(mutex_);
  return limits_;
}

Status FakeDatapath::Attach(const datapath::PodInterface& pod, const char* mode) {
  const std::lock_guard lock(mutex_);
  calls_.push_back("AttachPod " + pod.name);
  SL_RETURN_IF_ERROR(Fail("AttachPod"));
  pods_[pod.ifindex] = pod;
  std::erase_if(attached_, [&](const AttachedProgram& one) { return one.ifindex == pod.ifindex; });
  for (const char* const program : {"tc_from_pod", "tc_to_pod"})
    attached_.push_back({program, pod.name, pod.ifindex, mode});
  return OkStatus();
}

Status FakeDatapath::DetachPod(std::uint32_t ifindex) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(fmt::format("DetachPod {}", ifindex));
  SL_RETURN_IF_ERROR(Fail("DetachPod"));
  pods_.erase(ifindex);
  std::erase_if(attached_, [&](const AttachedProgram& one) { return one.ifindex == ifindex; });
  return OkStatus();
}

Status FakeDatapath::ForEachFlow(const std::function<void(const FlowRecord&)>& visit) {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("ForEachFlow"));
  for (const FlowRecord& flow : flows_) visit(flow);
  return OkStatus();
}

StatusOr<std::vector<FlowRecord>> FakeDatapath::ForgetFlows(const std::vector<FlowRecord>& flows) {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("ForgetFlows"));
  std::vector<FlowRecord> gone;
  for (const FlowRecord& flow : flows) {
    const auto erased = std::erase_if(flows_, [&](const FlowRecord& one) {
      return one.state == flow.state && std::memcmp(&one.key, &flow.key, sizeof one.key) == 0 &&
             one.entry.last_seen_ns == flow.entry.last_seen_ns;
    });
    if (erased != 0) gone.push_back(flow);
  }
  return gone;
}

StatusOr<std::optional<FlowRecord>> FakeDatapath::FindFlow(const sl_flow_key& key, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("FindFlow"));
  for (const FlowRecord& flow : flows_) {
    if (flow.entry.id == id && std::memcmp(&flow.key, &key, sizeof key) == 0) return flow;
  }
  return std::nullopt;
}

StatusOr<std::map<std::uint32_t, std::uint64_t>> FakeDatapath::ReadLostEvents() {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("ReadLostEvents"));
  return lost_events_;
}

void FakeDatapath::SetLostEvents(std::map<std::uint32_t, std::uint64_t> lost) {
  const std::lock_guard lock(mutex_);
  lost_events_ = std::move(lost);
}

Status FakeDatapath::ResetEndpoint(std::uint32_t endpoint) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(fmt::format("ResetEndpoint {}", endpoint));
  SL_RETURN_IF_ERROR(Fail("ResetEndpoint"));
  counters_.endpoints.erase(endpoint);
  quarantine_.endpoints.erase(endpoint);
  return OkStatus();
}

Status FakeDatapath::SetQuarantine(std::uint32_t endpoint, bool on) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(fmt::format("{} {}", on ? "Quarantine" : "Release", endpoint));
  SL_RETURN_IF_ERROR(Fail("SetQuarantine"));
  if (on) {
    quarantine_.endpoints.insert(endpoint);
  } else {
    quarantine_.endpoints.erase(endpoint);
  }
  return OkStatus();
}

StatusOr<datapath::QuarantineState> FakeDatapath::ReadQuarantine() {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("ReadQuarantine"));
  return quarantine_;
}

StatusOr<datapath::Counters> FakeDatapath::ReadCounters() {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("ReadCounters"));
  return counters_;
}

StatusOr<datapath::EventCounters> FakeDatapath::ReadEventCounters() {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("ReadEventCounters"));
  return counters_.events;
}

StatusOr<std::vector<datapath::MapUsage>> FakeDatapath::Maps() {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("Maps"));
  return maps_;
}

StatusOr<std::vector<datapath::ProgramRuns>> FakeDatapath::ReadProgramRuns() {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Fail("ReadProgramRuns"));
  return runs_;
}

std::vector<AttachedProgram> FakeDatapath::Attached() const {
  const std::lock_guard lock(mutex_);
  return attached_;
}

StatusOr<int> FakeDatapath::PollEvents(const std::function<void(const sl_flow_event&)>& consume) {
  std::deque<sl_flow_event> events;
  {
    const std::lock_guard lock(mutex_);
    SL_RETURN_IF_ERROR(Fail("PollEvents"));
    events.swap(events_);
  }
  for (const sl_flow_event& event : events) consume(event);
  return static_cast<int>(events.size());
}

}  // namespace sluice::test
