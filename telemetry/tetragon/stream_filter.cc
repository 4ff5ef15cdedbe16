#include "telemetry/tetragon/stream_filter.h"

#include <re2/re2.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <unordered_set>

#include "policy/resource/label_selector.h"

namespace sluice::telemetry {
namespace {

using tetragon::CapabilitiesType;
using tetragon::CapFilterSet;
using tetragon::Process;
using Condition = std::function<bool(const TetragonEvent&)>;
using Texts = google::protobuf::RepeatedPtrField<std::string>;

constexpr std::int64_t kPatternMemory = 256 << 10;

class Patterns {
 public:
  static StatusOr<Patterns> Make(const char* field, const Texts& texts) {
    Patterns patterns;
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kPatternMemory);
    for (const std::string& text : texts) {
      auto pattern = std::make_shared<const RE2>(text, options);
      if (!pattern->ok()) return InvalidError("{}: \"{}\" is not a pattern (RE2): {}", field, text, pattern->error());
      patterns.patterns_.push_back(std::move(pattern));
    }
    return patterns;
  }
  bool Match(const std::string& text) const {
    return std::any_of(patterns_.begin(), patterns_.end(),
                       [&](const auto& pattern) { return RE2::PartialMatch(text, *pattern); });
  }

 private:
  std::vector<std::shared_ptr<const RE2>> patterns_;
};

// A pattern on a text of the event; null: the event has no such text, and does not match.
using TextOf = const std::string* (*)(const tetragon::GetEventsResponse& event);

const std::string* BinaryOf(const tetragon::GetEventsResponse& event) {
  const Process* const process = ProcessOf(event);
  return process == nullptr ? nullptr : &process->binary();
}
const std::string* ArgumentsOf(const tetragon::GetEventsResponse& event) {
  const Process* const process = ProcessOf(event);
  return process == nullptr ? nullptr : &process->arguments();
}
const std::string* ParentBinaryOf(const tetragon::GetEventsResponse& event) {
  const Process* const parent = ParentOf(event);
  return parent == nullptr ? nullptr : &parent->binary();
}
const std::string* ParentArgumentsOf(const tetragon::GetEventsResponse& event) {
  const Process* const parent = ParentOf(event);
  return parent == nullptr ? nullptr : &parent->arguments();
}
const std::string* ContainerIdOf(const tetragon::GetEventsResponse& event) {
  const Process* const process = ProcessOf(event);
  return process == nullptr ? nullptr : &process->docker();
}
const tetragon::Pod* PodOf(const tetragon::GetEventsResponse& event) {
  const Process* const process = ProcessOf(event);
  return process == nullptr || !process->has_pod() ? nullptr : &process->pod();
}
const std::string* PodNameOf(const tetragon::GetEventsResponse& event) {
  const tetragon::Pod* const pod = PodOf(event);
  return pod == nullptr ? nullptr : &pod->name();
}
const std::string* NamespaceOf(const tetragon::GetEventsResponse& event) {
  const tetragon::Pod* const pod = PodOf(event);
  return pod == nullptr ? nullptr : &pod->namespace_();
}
const std::string* ContainerNameOf(const tetragon::GetEventsResponse& event) {
  const tetragon::Pod* const pod = PodOf(event);
  return pod == nullptr || !pod->has_container() ? nullptr : &pod->container().name();
}

struct PatternField {
  const char* name;
  const Texts& (tetragon::Filter::*values)() const;
  TextOf text;
};
constexpr PatternField kPatternFields[] = {
    {"binary_regex", &tetragon::Filter::binary_regex, BinaryOf},
    {"arguments_regex", &tetragon::Filter::arguments_regex, ArgumentsOf},
    {"parent_binary_regex", &tetragon::Filter::parent_binary_regex, ParentBinaryOf},
    {"parent_arguments_regex", &tetragon::Filter::parent_arguments_regex, ParentArgumentsOf},
    {"pod_regex", &tetragon::Filter::pod_regex, PodNameOf},
    {"namespace_regex", &tetragon::Filter::namespace_regex, NamespaceOf},
    {"container_id", &tetragon::Filter::container_id, ContainerIdOf},
    {"container_name_regex", &tetragon::Filter::container_name_regex, ContainerNameOf},
};

// Processes by pid, and all that descend from them, as far as their events pass by.
class PidSet {
 public:
  explicit PidSet(const google::protobuf::RepeatedField<std::uint32_t>& pids) : pids_(pids.begin(), pids.end()) {}

  bool Contains(const tetragon::GetEventsResponse& event) {
    const Process* const process = ProcessOf(event);
    if (process == nullptr) return false;
    const std::uint32_t pid = process->pid().value();
    if (Has(pid)) return true;
    const Process* const parent = ParentOf(event);
    if (parent == nullptr || !Has(parent->pid().value())) return false;
    descendants_.insert(pid);
    order_.push_back(pid);
    if (order_.size() > kMaxDescendants) {
      descendants_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }

 private:
  bool Has(std::uint32_t pid) const { return pids_.contains(pid) || descendants_.contains(pid); }

  const std::unordered_set<std::uint32_t> pids_;
  std::unordered_set<std::uint32_t> descendants_;
  std::deque<std::uint32_t> order_;  // of descendants_, oldest first
};

bool MatchesNamespace(const std::set<std::string>& namespaces, const tetragon::GetEventsResponse& event) {
  const Process* const process = ProcessOf(event);
  return process != nullptr && namespaces.contains(process->has_pod() ? process->pod().namespace_() : "");
}

bool MayBeHealthCheck(const Process* process) {
  return process != nullptr && process->has_pod() && process->pod().container().maybe_exec_probe();
}

std::set<int> SetOf(const google::protobuf::RepeatedField<int>& values) { return {values.begin(), values.end()}; }

bool MatchesCapabilities(const CapFilterSet& wanted, const std::set<int>& has) {
  const auto in = [&](int one) { return has.contains(one); };
  if (wanted.any_size() != 0) return std::any_of(wanted.any().begin(), wanted.any().end(), in);
  if (wanted.all_size() != 0) return std::all_of(wanted.all().begin(), wanted.all().end(), in);
  if (wanted.exactly_size() != 0) return SetOf(wanted.exactly()) == has;
  return std::none_of(wanted.none().begin(), wanted.none().end(), in);
}

StatusOr<Condition> CapabilityCondition(const tetragon::CapFilter& filter) {
  // The sensors read the effective set only: these could match nothing.
  if (filter.has_permitted())
    return InvalidError("capabilities.permitted: only the effective set of a process is known: use effective");
  if (filter.has_inheritable())
    return InvalidError("capabilities.inheritable: only the effective set of a process is known: use effective");
  const CapFilterSet& wanted = filter.effective();
  const int lists = (wanted.any_size() != 0 ? 1 : 0) + (wanted.all_size() != 0 ? 1 : 0) +
                    (wanted.exactly_size() != 0 ? 1 : 0) + (wanted.none_size() != 0 ? 1 : 0);
  if (lists != 1)
    return InvalidError("capabilities.effective: give exactly one of any, all, exactly and none, not {}", lists);
  return Condition([wanted](const TetragonEvent& event) {
    const Process* const process = ProcessOf(event.message);
    return process != nullptr && process->has_cap() && MatchesCapabilities(wanted, SetOf(process->cap().effective()));
  });
}

StatusOr<Condition> LabelCondition(const Texts& selectors) {
  std::vector<policy::Selector> parsed;
  for (const std::string& text : selectors) {
    auto selector = policy::ParseLabelSelector(text);
    if (!selector.ok()) return InvalidError("labels: {}", Message(selector.status()));
    parsed.push_back(*std::move(selector));
  }
  return Condition([parsed = std::move(parsed)](const TetragonEvent& event) {
    const tetragon::Pod* const pod = PodOf(event.message);
    if (pod == nullptr) return false;
    const policy::Labels labels(pod->pod_labels().begin(), pod->pod_labels().end());
    return std::any_of(parsed.begin(), parsed.end(),
                       [&](const policy::Selector& selector) { return selector.Matches(labels); });
  });
}

// All values, so that a request of any shape stays small.
Status CheckSize(const tetragon::Filter& filter, std::size_t* values) {
  const auto add = [&](std::size_t count) { *values += count; };
  for (const Texts* const texts :
       {&filter.binary_regex(), &filter.namespace_(), &filter.pod_regex(), &filter.arguments_regex(), &filter.labels(),
        &filter.policy_names(), &filter.parent_binary_regex(), &filter.cel_expression(),
        &filter.parent_arguments_regex(), &filter.container_id(), &filter.ancestor_binary_regex(),
        &filter.container_name_regex(), &filter.namespace_regex()}) {
    add(static_cast<std::size_t>(texts->size()));
    for (const std::string& text : *texts) {
      if (text.size() > kMaxFilterText)
        return InvalidError("a value has {} bytes, and may have {}", text.size(), kMaxFilterText);
    }
  }
  add(static_cast<std::size_t>(filter.pid_size() + filter.pid_set_size() + filter.event_set_size()));
  if (*values > kMaxFilterValues)
    return InvalidError("the filters have more than {} values together", kMaxFilterValues);
  return OkStatus();
}

}  // namespace

Status StreamFilter::Add(const tetragon::Filter& filter, std::vector<Conditions>* to) {
  if (filter.cel_expression_size() != 0)
    return InvalidError("cel_expression: expressions are not supported: use the other fields");
  Conditions all;
  // First, as it has to see every event of a process.
  if (filter.pid_set_size() != 0) {
    all.emplace_back([set = std::make_shared<PidSet>(filter.pid_set())](const TetragonEvent& event) {
      return set->Contains(event.message);
    });
  }
  for (const PatternField& field : kPatternFields) {
    const Texts& values = (filter.*field.values)();
    if (values.empty()) continue;
    SL_ASSIGN_OR_RETURN(Patterns patterns, Patterns::Make(field.name, values));
    all.emplace_back([patterns = std::move(patterns), text = field.text](const TetragonEvent& event) {
      const std::string* const value = text(event.message);
      return value != nullptr && patterns.Match(*value);
    });
  }
  if (filter.ancestor_binary_regex_size() != 0) {
    SL_ASSIGN_OR_RETURN(Patterns patterns, Patterns::Make("ancestor_binary_regex", filter.ancestor_binary_regex()));
    all.emplace_back([patterns = std::move(patterns)](const TetragonEvent& event) {
      return std::any_of(event.ancestors.begin(), event.ancestors.end(),
                         [&](const std::string& binary) { return patterns.Match(binary); });
    });
  }
  if (filter.namespace__size() != 0) {
    all.emplace_back([wanted = std::set<std::string>(filter.namespace_().begin(), filter.namespace_().end())](
                         const TetragonEvent& event) { return MatchesNamespace(wanted, event.message); });
  }
  if (filter.has_health_check()) {
    all.emplace_back([wanted = filter.health_check().value()](const TetragonEvent& event) {
      return wanted == (MayBeHealthCheck(ProcessOf(event.message)) || MayBeHealthCheck(ParentOf(event.message)));
    });
  }
  if (filter.pid_size() != 0) {
    all.emplace_back(
        [wanted = std::set<std::uint32_t>(filter.pid().begin(), filter.pid().end())](const TetragonEvent& event) {
          const Process* const process = ProcessOf(event.message);
          return process != nullptr && wanted.contains(process->pid().value());
        });
  }
  if (filter.event_set_size() != 0) {
    all.emplace_back([wanted = SetOf(filter.event_set())](const TetragonEvent& event) {
      return wanted.contains(TypeOf(event.message));
    });
  }
  if (filter.labels_size() != 0) {
    SL_ASSIGN_OR_RETURN(Condition labels, LabelCondition(filter.labels()));
    all.push_back(std::move(labels));
  }
  if (filter.policy_names_size() != 0) {
    all.emplace_back([wanted = std::set<std::string>(filter.policy_names().begin(), filter.policy_names().end())](
                         const TetragonEvent& event) {
      const std::string name = PolicyNameOf(event.message);
      return !name.empty() && wanted.contains(name);
    });
  }
  if (filter.has_capabilities()) {
    SL_ASSIGN_OR_RETURN(Condition capabilities, CapabilityCondition(filter.capabilities()));
    all.push_back(std::move(capabilities));
  }
  if (filter.has_in_init_tree()) {
    all.emplace_back([wanted = filter.in_init_tree().value()](const TetragonEvent& event) {
      const Process* const process = ProcessOf(event.message);
      return wanted == (process != nullptr && process->in_init_tree().value());
    });
  }
  to->push_back(std::move(all));
  return OkStatus();
}

StatusOr<StreamFilter> StreamFilter::Make(const tetragon::GetEventsRequest& request) {
  StreamFilter made;
  std::size_t values = 0;
  bool takes_all_types = request.allow_list_size() == 0;
  for (const bool allows : {true, false}) {
    const char* const list = allows ? "allow_list" : "deny_list";
    const auto& filters = allows ? request.allow_list() : request.deny_list();
    if (filters.size() > kMaxFilters)
      return InvalidError("{}: it has {} filters, and may have {}", list, filters.size(), kMaxFilters);
    for (int i = 0; i < filters.size(); ++i) {
      Status added = CheckSize(filters[i], &values);
      if (added.ok()) added = made.Add(filters[i], allows ? &made.allow_ : &made.deny_);
      if (!added.ok()) return Annotate(added, fmt::format("{}[{}]", list, i));
    }
  }
  for (const tetragon::Filter& filter : request.allow_list()) {
    if (filter.event_set_size() == 0 || filter.pid_set_size() != 0) takes_all_types = true;
    for (const int type : filter.event_set()) {
      made.types_.insert(static_cast<tetragon::EventType>(type));
      if (type == tetragon::RATE_LIMIT_INFO) made.wants_losses_ = true;
    }
  }
  if (takes_all_types) made.types_.clear();
  return made;
}

bool StreamFilter::MatchesOne(const std::vector<Conditions>& filters, const TetragonEvent& event) {
  return std::any_of(filters.begin(), filters.end(), [&](const Conditions& filter) {
    return std::all_of(filter.begin(), filter.end(), [&](const Condition& condition) { return condition(event); });
  });
}

bool StreamFilter::Matches(const TetragonEvent& event) {
  return (allow_.empty() || MatchesOne(allow_, event)) && !MatchesOne(deny_, event);
}

}  // namespace sluice::telemetry
