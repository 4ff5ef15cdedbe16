// The lists of rules that a policy may have, and the fields of their rules. The one list: the parser and
// docs/kubearmor-policy.md are made from it. Pure.
#pragma once

#include <array>
#include <string_view>

namespace sluice::policy::lsm {

enum class RuleList {
  kProcessPaths,
  kProcessDirectories,
  kProcessPatterns,
  kFilePaths,
  kFileDirectories,
  kFilePatterns,
  kProtocols,
  kPeers,
  kCapabilities,
  kSyscalls,
  kSyscallPaths,
};

struct RuleListInfo {
  RuleList list;
  std::string_view section;
  std::string_view name;
  std::string_view fields;   // beside kRuleFields, separated by spaces
  std::string_view meaning;  // for people
};

// Every rule and every section may have these.
inline constexpr std::string_view kRuleFields = "severity tags message action";

// In the order of RuleList.
inline constexpr std::array kRuleLists = {
    RuleListInfo{RuleList::kProcessPaths, "process", "matchPaths", "path execname allowedArgs ownerOnly pts fromSource",
                 "executes the program `path`, or one that is called `execname` in any directory"},
    RuleListInfo{RuleList::kProcessDirectories, "process", "matchDirectories", "dir recursive ownerOnly pts fromSource",
                 "executes a program in `dir`; with `recursive` also below it"},
    RuleListInfo{RuleList::kProcessPatterns, "process", "matchPatterns", "pattern ownerOnly pts fromSource",
                 "executes a program whose path matches"},
    RuleListInfo{RuleList::kFilePaths, "file", "matchPaths", "path readOnly ownerOnly pts fromSource",
                 "opens the file `path`"},
    RuleListInfo{RuleList::kFileDirectories, "file", "matchDirectories",
                 "dir recursive readOnly ownerOnly pts fromSource",
                 "opens `dir` or a file in it; with `recursive` also below it"},
    RuleListInfo{RuleList::kFilePatterns, "file", "matchPatterns", "pattern readOnly ownerOnly pts fromSource",
                 "opens a file whose path matches"},
    RuleListInfo{RuleList::kProtocols, "network", "matchProtocols", "protocol pts fromSource",
                 "creates a socket of `protocol`"},
    RuleListInfo{RuleList::kPeers, "network", "matchPeers", "cidr port endPort protocol pts fromSource",
                 "connects or sends to an address of `cidr`, to `port` or the ports up to `endPort`; Sluice's own"},
    RuleListInfo{RuleList::kCapabilities, "capabilities", "matchCapabilities", "capability pts fromSource",
                 "uses the capability"},
    RuleListInfo{RuleList::kSyscalls, "syscalls", "matchSyscalls", "syscall fromSource",
                 "calls one of the list `syscall`"},
    RuleListInfo{RuleList::kSyscallPaths, "syscalls", "matchPaths", "path recursive syscall fromSource",
                 "calls one of the list `syscall` for `path`, which is a directory if it ends with \"/\""},
};

constexpr const RuleListInfo& InfoOf(RuleList list) { return kRuleLists[static_cast<std::size_t>(list)]; }

}  // namespace sluice::policy::lsm
