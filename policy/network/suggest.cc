#include "policy/network/suggest.h"

#include <absl/strings/ascii.h>
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace sluice::policy {
namespace {

constexpr std::size_t kMostNamed = 4;
constexpr std::size_t kLongestName = 63;  // of a policy: one DNS label, which is valid everywhere

// Labels that controllers put on one revision, or on one pod of many. A policy by them would end with the next rollout.
bool IsStable(const std::string& key) {
  static constexpr std::string_view kPassing[] = {"pod-template-hash",
                                                  "controller-revision-hash",
                                                  "pod-template-generation",
                                                  "statefulset.kubernetes.io/pod-name",
                                                  "apps.kubernetes.io/pod-index",
                                                  "controller-uid",
                                                  "job-name",
                                                  "batch.kubernetes.io/controller-uid",
                                                  "batch.kubernetes.io/job-name",
                                                  "batch.kubernetes.io/job-completion-index"};
  return std::find(std::begin(kPassing), std::end(kPassing), key) == std::end(kPassing);
}

Labels StableLabels(const Labels& labels) {
  Labels stable;
  for (const auto& [key, value] : labels) {
    if (IsStable(key)) stable.emplace(key, value);
  }
  return stable;
}

Selector SelectorOf(const Labels& labels) {
  Selector selector;
  for (const auto& [key, value] : labels) {
    selector.requirements.push_back({.key = key, .op = Selector::Operator::kIn, .values = {value}});
  }
  return selector;
}

// A double-quoted scalar is a string, whatever it looks like. Control characters cannot be in labels and names, and a
// path may have them.
std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string MatchLabels(const Labels& labels) {
  if (labels.empty()) return "{}";
  std::vector<std::string> pairs;
  for (const auto& [key, value] : labels) pairs.push_back(Quoted(key) + ": " + Quoted(value));
  return fmt::format("{{matchLabels: {{{}}}}}", fmt::join(pairs, ", "));
}

std::string NamespaceSelector(const std::string& ns) {
  return fmt::format("{{matchLabels: {{\"kubernetes.io/metadata.name\": {}}}}}", Quoted(ns));
}

// A DNS label of `words`, made of the characters that may be in one.
std::string NameOf(const std::string& words) {
  std::string name;
  for (const char c : words) {
    const char low = absl::ascii_tolower(static_cast<unsigned char>(c));
    const bool fits = absl::ascii_isalnum(static_cast<unsigned char>(low));
    if (!fits && (name.empty() || name.back() == '-')) continue;
    name += fits ? low : '-';
    if (name.size() == kLongestName) break;
  }
  while (name.ends_with('-')) name.pop_back();
  return name;
}

bool HasPorts(std::uint8_t protocol) { return protocol == kTcp || protocol == kUdp || protocol == kSctp; }

// One end of the flow, and what is suggested for it.
class EndSuggestion {
 public:
  EndSuggestion(const Snapshot& snapshot, const Flow& flow, Direction direction)
      : snapshot_(snapshot),
        flow_(flow),
        direction_(direction),
        subject_(*snapshot.Find(is_ingress() ? flow.destination : flow.source)),
        peer_address_(is_ingress() ? flow.source : flow.destination),
        peer_(snapshot.Find(peer_address_)),
        process_(is_ingress() ? flow.destination_process : flow.source_process),
        labels_(StableLabels(subject_.labels)) {}

  std::string Yaml() const {
    const bool isolates = SelectsIsolatedOnly();
    const char* const types = is_ingress() ? "Ingress" : "Egress";
    std::string text = fmt::format("apiVersion: {}\nkind: {}\nmetadata:\n  name: {}\n",
                                   isolates && !program() ? "networking.k8s.io/v1" : "sluice.dev/v1alpha1",
                                   isolates ? "NetworkPolicy" : "ClusterNetworkPolicy", Name());
    if (isolates) text += fmt::format("  namespace: {}\n", subject_.name.ns);
    text += "spec:\n";
    if (!isolates) {
      text += fmt::format("  namespaceSelector: {}\n  defaultDeny: false\n", NamespaceSelector(subject_.name.ns));
    }
    text += fmt::format("  podSelector: {}\n  policyTypes: [{}]\n  {}:\n", MatchLabels(labels_), types,
                        is_ingress() ? "ingress" : "egress");
    text += fmt::format("  - {}:\n    - {}\n", is_ingress() ? "from" : "to", PeerYaml(isolates));
    text += fmt::format("    ports:\n    - {{protocol: {}, port: {}}}\n", ProtocolName(flow_.protocol), flow_.port);
    if (program()) text += fmt::format("    processes:\n      binaries: [{}]\n", Quoted(process_->binary));
    return text;
  }

  // Whom the selectors mean beside the two ends.
  void AddOthers(std::vector<std::string>* notes) const {
    AddOthers(subject_, labels_, notes);
    if (peer_ != nullptr) AddOthers(*peer_, StableLabels(peer_->labels), notes);
  }

 private:
  bool is_ingress() const { return direction_ == Direction::kIngress; }
  bool program() const { return process_ && !process_->binary.empty(); }

  // Whether the policy may be of a kind that isolates whom it selects: all of them are isolated already.
  bool SelectsIsolatedOnly() const {
    const Selector selector = SelectorOf(labels_);
    return std::all_of(snapshot_.endpoints.begin(), snapshot_.endpoints.end(), [&](const Endpoint& endpoint) {
      if (endpoint.name.ns != subject_.name.ns || !selector.Matches(endpoint.labels)) return true;
      return std::any_of(snapshot_.policies.begin(), snapshot_.policies.end(), [&](const auto& policy) {
        return policy->mode == PolicyMode::kEnforce && !policy->IsKubeArmor() && policy->Isolates(direction_) &&
               Selects(*policy, endpoint);
      });
    });
  }

  std::string Name() const {
    const std::string peer = peer_ != nullptr ? peer_->name.name : peer_address_.ToString();
    const std::string what = fmt::format("{}-{}", ProtocolName(flow_.protocol), flow_.port);
    // The port first: names of workloads may be long, and the name is cut at its end.
    return NameOf(is_ingress() ? fmt::format("allow-{}-{}-from-{}", what, subject_.name.name, peer)
                               : fmt::format("allow-{}-{}-to-{}", what, subject_.name.name, peer));
  }

  std::string PeerYaml(bool is_namespaced) const {
    if (peer_ == nullptr) {
      return fmt::format("ipBlock: {{cidr: \"{}/{}\"}}", peer_address_.ToString(), peer_address_.is_v4() ? 32 : 128);
    }
    std::string pods = fmt::format("podSelector: {}", MatchLabels(StableLabels(peer_->labels)));
    if (is_namespaced && peer_->name.ns == subject_.name.ns) return pods;
    return fmt::format("namespaceSelector: {}\n      {}", NamespaceSelector(peer_->name.ns), pods);
  }

  void AddOthers(const Endpoint& end, const Labels& labels, std::vector<std::string>* notes) const {
    const Selector selector = SelectorOf(labels);
    std::vector<std::string> names;
    std::size_t others = 0;
    for (const Endpoint& endpoint : snapshot_.endpoints) {
      if (endpoint.name == end.name || endpoint.name.ns != end.name.ns || !selector.Matches(endpoint.labels)) continue;
      if (++others <= kMostNamed) names.push_back(endpoint.name.ToString());
    }
    if (others == 0) return;
    notes->push_back(fmt::format("the labels of {} also mean {}{}", end.name.ToString(), fmt::join(names, ", "),
                                 others > kMostNamed ? fmt::format(" and {} more", others - kMostNamed) : ""));
  }

  const Snapshot& snapshot_;
  const Flow& flow_;
  const Direction direction_;
  const Endpoint& subject_;
  const Address peer_address_;
  const Endpoint* const peer_;  // null: no pod
  const std::optional<Process>& process_;
  const Labels labels_;
};

// A pattern has no escapes, so a path with its characters would also mean other programs.
bool IsPattern(const std::optional<Process>& process) {
  return process && !process->binary.empty() &&
         (process->binary.front() != '/' || process->binary.find_first_of("*?") != std::string::npos);
}

// Empty: rules can allow it.
std::string WhyNot(const Decision& decision, const Flow& flow, const std::optional<Process>& process) {
  for (const Contribution& part : decision.contributions) {
    if (part.effect != Effect::kDeny) continue;
    return fmt::format("{} {} denies it, which no rule that allows can change",
                       ResourceId{KindOf(part.api), part.policy}.ToString(), part.rule);
  }
  if (IsPattern(process)) return fmt::format("no pattern means the program {} alone", process->binary);
  if (HasPorts(flow.protocol) && flow.port != 0) return "";
  if (HasPorts(flow.protocol)) return "no rule can name port 0";
  return fmt::format("{}: only a rule for all protocols and ports allows it, so no policy allows just this",
                     ProtocolName(flow.protocol));
}

}  // namespace

Suggestions Suggest(const Snapshot& snapshot, const Flow& flow, const Quarantine& quarantine) {
  Suggestions out;
  const Evaluation answer = Evaluate(snapshot, flow, Scope::kEverywhere, quarantine);
  if (answer.allowed) return out;
  if (answer.quarantined) {
    out.notes.emplace_back("quarantine stops it, whatever policies say");
    return out;
  }
  for (const auto& [decision, direction] :
       {std::pair{&answer.egress, Direction::kEgress}, {&answer.ingress, Direction::kIngress}}) {
    if (!*decision || (*decision)->allowed) continue;
    const bool ingress = direction == Direction::kIngress;
    const auto& process = ingress ? flow.destination_process : flow.source_process;
    if (std::string why = WhyNot(**decision, flow, process); !why.empty()) {
      // With one end still closed, opening the other one would only weaken it.
      out.policies.clear();
      out.notes = {std::move(why)};
      return out;
    }
    const EndSuggestion end(snapshot, flow, direction);
    const Endpoint& subject = *snapshot.Find(ingress ? flow.destination : flow.source);
    out.policies.push_back({.direction = direction, .subject = subject.name, .yaml = end.Yaml()});
    end.AddOthers(&out.notes);
  }
  for (const auto& [decision, process, other] : {std::tuple{&answer.egress, &flow.source_process, "ingress"},
                                                 {&answer.ingress, &flow.destination_process, "egress"}}) {
    const bool denies = *decision && !(*decision)->allowed;
    if (denies || !*process || (*process)->binary.empty()) continue;
    out.notes.push_back(
        fmt::format("no rule for {} can name {}, which is at the other end", other, (*process)->binary));
  }
  std::sort(out.notes.begin(), out.notes.end());
  out.notes.erase(std::unique(out.notes.begin(), out.notes.end()), out.notes.end());
  return out;
}

}  // namespace sluice::policy
