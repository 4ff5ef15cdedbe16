#include "ctrl/notice/writes.h"

#include <absl/strings/ascii.h>
#include <absl/time/time.h>

#include <nlohmann/json.hpp>

#include "policy/network/stable_id.h"

namespace sluice::notice {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxName = 220;  // so that name, point and hash fit into a name of 253

std::string TimeText(kube::WallTime time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromChrono(time), absl::UTCTimeZone());
}

// One part of a path. The server allows only such names anyway.
std::string PathPart(const std::string& name) {
  std::string part;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = absl::ascii_isalnum(byte) || c == '-' || c == '.';
    part += is_plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return part;
}

std::string Cut(const std::string& message) {
  return message.size() <= kMaxMessage ? message : message.substr(0, kMaxMessage - 3) + "...";
}

// Invalid UTF-8 is replaced, so this does not throw.
std::string TextOf(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

kube::Write EventWrite(const Event& event, kube::WallTime now) {
  const std::string ns = event.about.ns.empty() ? "default" : event.about.ns;
  const std::uint64_t hash = policy::StableHash(policy::CanonicalKey()
                                                    .Add(event.about.uid)
                                                    .Add(static_cast<std::uint64_t>(event.generation))
                                                    .Add(event.reason)
                                                    .Add(event.message)
                                                    .bytes());
  std::string name = event.about.name.substr(0, kMaxName);
  while (!name.empty() && !absl::ascii_isalnum(static_cast<unsigned char>(name.back()))) name.pop_back();
  Json json;
  json["apiVersion"] = "v1";
  json["kind"] = "Event";
  json["metadata"] = {{"name", fmt::format("{}.{:016x}", name, hash)}, {"namespace", ns}};
  json["involvedObject"] = {
      {"apiVersion", event.about.api_version}, {"kind", event.about.kind}, {"name", event.about.name}};
  if (!event.about.ns.empty()) json["involvedObject"]["namespace"] = event.about.ns;
  if (!event.about.uid.empty()) json["involvedObject"]["uid"] = event.about.uid;
  json["type"] = "Warning";
  json["reason"] = event.reason;
  json["message"] = Cut(event.message);
  json["source"] = {{"component", "sluice"}, {"host", event.node}};
  json["firstTimestamp"] = json["lastTimestamp"] = TimeText(now);
  json["count"] = 1;
  return {.method = "POST",
          .path = "/api/v1/namespaces/" + PathPart(ns) + "/events",
          .content_type = "application/json",
          .body = TextOf(json),
          .ok_if_there = true};
}

bool Condition::Says(const Condition& other) const {
  return status == other.status && reason == other.reason && generation == other.generation;
}

kube::Write ConditionWrite(const ObjectRef& about, const std::string& resource_version, const Condition& condition,
                           const Condition* former, kube::WallTime now) {
  const bool is_kept = former != nullptr && former->status == condition.status && !former->since.empty();
  Json one = {{"type", "Enforced"},
              {"status", condition.status},
              {"reason", condition.reason},
              {"message", Cut(condition.message)},
              {"observedGeneration", condition.generation},
              {"lastTransitionTime", is_kept ? former->since : TimeText(now)}};
  Json json;
  json["metadata"]["resourceVersion"] = resource_version;
  json["status"] = {{"observedGeneration", condition.generation}, {"conditions", Json::array({std::move(one)})}};
  const std::string resources =
      about.ns.empty() ? "clusternetworkpolicies" : fmt::format("namespaces/{}/networkpolicies", PathPart(about.ns));
  return {.path = fmt::format("/apis/{}/{}/{}/status", about.api_version, resources, PathPart(about.name)),
          .body = TextOf(json)};
}

}  // namespace sluice::notice
