// What a KubeArmorPolicy, KubeArmorHostPolicy or KubeArmorClusterPolicy says, after parsing and checking
// (policy/lsm/parser.h): plain values, immutable once built, safe to share between threads. What policies and sections
// say for all their rules is in each rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/lsm/actions.h"
#include "policy/lsm/path_pattern.h"
#include "policy/lsm/presets.h"
#include "policy/lsm/protocols.h"
#include "policy/lsm/rule_lists.h"
#include "policy/resource/model.h"
#include "policy/resource/yaml.h"

namespace sluice::policy::lsm {

// What happens with an operation that a rule matches. The innermost of rule, section and policy says it.
struct Effect {
  Action action = Action::kBlock;
  int severity = 1;  // 1..10
  std::vector<std::string> tags;
  std::string message;
};

// A program that an operation may come from: the one that runs, not the one that is to be executed.
struct Source {
  std::string path;
  bool directory = false;  // `path` ends with "/": a program in it
  bool recursive = false;  // or below it
  bool operator==(const Source&) const = default;
};

// A limit on who may do it, and how. An Allow or Audit rule matches if all of them are kept; a Block rule blocks if one
// is not, and always if there is none.
struct Conditions {
  bool owner_only = false;                // the process runs as the file's owner
  bool read_only = false;                 // the file is not opened for writing
  std::optional<bool> terminal;           // pts: the process has a terminal, or has none
  std::vector<std::string> allowed_args;  // there are arguments, and each is one of these; empty: no condition
  bool operator==(const Conditions&) const = default;

  bool empty() const { return *this == Conditions(); }
};

// What all rules have.
struct Rule {
  Place place;        // in the file
  std::string field;  // "spec.process.matchPaths[0]"
  Effect effect;
  std::vector<Source> sources;  // one of them; empty: any program
  Conditions conditions;
};

// Files, by their paths as the kernel knows them: without symbolic links.
struct PathTarget {
  enum class Form { kPath, kName, kPattern, kDirectory };

  Form form = Form::kPath;
  std::string text;                    // of a directory with "/" at the end
  std::optional<PathPattern> pattern;  // of kPattern. Absent: it matches nothing
  bool recursive = false;              // of kDirectory
};

struct PathRule {
  Rule rule;
  PathTarget target;
};

struct ProtocolRule {
  Rule rule;
  Protocol protocol = Protocol::kAll;
};

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;  // inclusive
};

struct PeerRule {
  Rule rule;
  Prefix cidr;
  std::optional<std::uint8_t> protocol;  // kTcp, kUdp or kSctp; absent: any
  std::optional<PortRange> ports;        // absent: all
};

struct CapabilityRule {
  Rule rule;
  std::uint32_t capability = 0;
};

// Its action is Audit.
struct SyscallRule {
  Rule rule;
  std::vector<std::string> names;
  std::optional<PathTarget> path;  // kPath or kDirectory; absent: any
};

// Its action is Audit or Block.
struct PresetRule {
  Rule rule;
  Preset preset = Preset::kExec;
};

// Which pods (and containers of them) or nodes. Everything is ANDed; what is empty selects all.
struct Selection {
  // Of matchExpressions with the key "label" or "namespace".
  struct LabelSet {
    bool negated = false;
    std::vector<std::pair<std::string, std::string>> labels;  // the pod has one of them
  };
  struct NamespaceSet {
    bool negated = false;
    std::vector<std::string> names;
  };

  Labels labels;  // of the pod or the node
  std::vector<LabelSet> label_sets;
  std::vector<NamespaceSet> namespaces;  // KubeArmorClusterPolicy only
  std::vector<std::string> containers;   // names; not of nodes
  std::vector<std::string> hostnames;    // of nodes only
  std::string hostname_pattern;          // RE2, found anywhere in the node's name; of nodes only
};

struct Policy {
  enum class Kind { kPods, kHost, kCluster };

  Kind kind = Kind::kPods;
  ObjectName name;  // with a namespace: kPods
  Selection selection;
  std::vector<PathRule> process;
  std::vector<PathRule> file;
  std::vector<ProtocolRule> protocols;
  std::vector<PeerRule> peers;
  std::vector<CapabilityRule> capabilities;
  std::vector<SyscallRule> syscalls;
  std::vector<PresetRule> presets;
};

}  // namespace sluice::policy::lsm
