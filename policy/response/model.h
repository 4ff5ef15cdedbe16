// What a Response says, after parsing and checking (policy/response/parser.h): which events it answers, and how. Plain
// values, immutable once built, safe to share between threads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/model.h"
#include "policy/rules/rule.h"

namespace sluice::policy::response {

// What noticed something.
enum class Source : std::uint8_t { kRule, kHook, kKubeArmor, kDenial };

struct SourceInfo {
  Source source;
  std::string_view name;     // as documents write it
  std::string_view meaning;  // for people
};

// In the order of Source.
inline constexpr std::array kSources = {
    SourceInfo{Source::kRule, "Rule", "a Falco rule matched an event"},
    SourceInfo{Source::kHook, "Hook", "a hook policy (TracingPolicy) posted an event"},
    SourceInfo{Source::kKubeArmor, "KubeArmor", "a KubeArmor policy refused or audited an operation"},
    SourceInfo{Source::kDenial, "Denial", "network policy denied a flow"},
};

constexpr const SourceInfo& InfoOf(Source source) { return kSources[static_cast<std::size_t>(source)]; }

// "*" stands for any run of bytes, and every other byte for itself.
bool PatternMatches(std::string_view pattern, std::string_view text);

// One entry of `match`: everything that it names must hold. Of each list, one value is enough.
struct Condition {
  std::vector<Source> sources;              // empty: any
  std::vector<std::string> policies;        // patterns: "shop/web", or "web" in any namespace
  std::vector<std::string> rules;           // patterns of rule names
  std::vector<std::string> tags;            // patterns
  std::optional<rules::Priority> priority;  // this one or a more urgent one: only rules have one
  std::optional<std::uint8_t> severity;     // 1..10, at least: only KubeArmor's policies have one
};

// One entry of `workloads` or `never`: everything that it names must hold.
struct WorkloadSet {
  std::vector<std::string> names;       // patterns: "shop/web-*"
  std::vector<std::string> namespaces;  // patterns
  std::optional<Selector> selector;     // by the workload's labels
  bool host = false;                    // the processes of the node outside of workloads; the others are empty then
};

struct Kill {
  bool tree = false;  // with all processes that descend from it
};

struct Collect {
  bool executable = true;
  bool written = true;                   // regular files that it has open for writing
  bool memory = true;                    // programs and libraries that are mapped and on no file system
  std::uint32_t max_files = 16;          // of one answer
  std::uint64_t max_bytes = 64U << 20U;  // of one answer, all files together
};

struct Notify {
  std::string url;               // http or https
  std::string ca_file;           // PEM, on the node; empty: the system's
  std::string certificate_file;  // PEM, for the client's certificate; empty: none
  std::string key_file;
  std::string token_file;  // its content is the bearer token; empty: none
};

struct Limits {
  std::uint32_t per_workload = 10;  // answers for one workload in each period
  std::uint32_t total = 100;        // answers in each period
  std::uint32_t period_seconds = 60;
};

struct Response {
  std::string name;
  std::vector<Condition> match;        // one of them; never empty
  std::vector<WorkloadSet> workloads;  // one of them; empty: every workload, but not the host
  std::vector<WorkloadSet> never;      // none of them
  bool quarantine = false;
  bool capture = false;
  std::optional<Kill> kill;
  std::optional<Collect> collect;
  std::optional<Notify> notify;
  bool dry_run = false;
  Limits limits;
};

}  // namespace sluice::policy::response
