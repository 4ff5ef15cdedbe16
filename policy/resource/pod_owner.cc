#include "policy/resource/pod_owner.h"

#include <charconv>
#include <string_view>
#include <utility>

namespace sluice::policy {
namespace {

constexpr char kTemplateHash[] = "pod-template-hash";
constexpr std::size_t kMaxNameBytes = 253;
// The API server refuses CronJobs with longer names, because their Jobs' names are longer by 11.
constexpr std::size_t kMaxCronJobName = 52;

// A CronJob's Job ends in the time that it was scheduled for. Since Kubernetes 1.21 that is in minutes, before it was
// in seconds. The ranges begin before the first such Job, and leave out dates: 20260131 and 2026013123.
constexpr std::pair<std::uint64_t, std::uint64_t> kMinutes{26'000'000, 99'999'999};
constexpr std::pair<std::uint64_t, std::uint64_t> kSeconds{1'400'000'000, 1'999'999'999};

bool IsIn(const std::pair<std::uint64_t, std::uint64_t>& range, std::uint64_t number) {
  return number >= range.first && number <= range.second;
}

std::string_view GroupOf(std::string_view api_version) {
  const std::size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
}

// The part before the last "-", and the part after it; both empty: there is none.
std::pair<std::string_view, std::string_view> SplitName(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return {};
  return {name.substr(0, dash), name.substr(dash + 1)};
}

// Empty: the ReplicaSet is nobody's, or another controller's.
std::string_view DeploymentOf(std::string_view replica_set, const Labels& pod_labels) {
  const auto [name, hash] = SplitName(replica_set);
  const auto label = pod_labels.find(kTemplateHash);
  return !hash.empty() && label != pod_labels.end() && label->second == hash ? name : std::string_view();
}

// Empty: the Job's name is not one that a CronJob gives.
std::string_view CronJobOf(std::string_view job) {
  const auto [name, time] = SplitName(job);
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(time.data(), time.data() + time.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != time.data() + time.size() || time.starts_with('0')) return {};
  return name.size() <= kMaxCronJobName && (IsIn(kMinutes, number) || IsIn(kSeconds, number)) ? name
                                                                                              : std::string_view();
}

}  // namespace

std::optional<PodOwner> ResolvePodOwner(const ControllerReference& controller, const Labels& pod_labels) {
  const auto& [api_version, kind, name] = controller;
  if (kind.empty() || name.empty() || kind.size() > kMaxNameBytes || name.size() > kMaxNameBytes) return std::nullopt;
  const std::string_view group = GroupOf(api_version);
  if (group.empty() && kind == "Node") return std::nullopt;
  if (group == "apps" && kind == "ReplicaSet") {
    if (const auto deployment = DeploymentOf(name, pod_labels); !deployment.empty()) {
      return PodOwner{"Deployment", std::string(deployment)};
    }
  }
  if (group == "batch" && kind == "Job") {
    if (const auto cron_job = CronJobOf(name); !cron_job.empty()) return PodOwner{"CronJob", std::string(cron_job)};
  }
  return PodOwner{kind, name};
}

}  // namespace sluice::policy
