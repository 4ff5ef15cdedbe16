// Random KubeArmor policies, and operations that they are about more often than not: for tests that hold the compiled
// tables and the kernel's programs against the reference evaluator.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {

class RandomPolicies {
 public:
  explicit RandomPolicies(unsigned seed) : random_(seed) {}

  // Each a spec of a policy.
  std::vector<std::string> Specs() {
    std::vector<std::string> specs(1 + random_() % 5);
    for (std::string& spec : specs) spec = Spec();
    return specs;
  }

  Postures AnyPostures() { return {AnyPosture(), AnyPosture(), AnyPosture()}; }

  Subject AnySubject() {
    return {.program = Any({"/p", "/q", "/usr/bin/p", "/usr/bin/q", "/opt/x/p", "/opt/p", ""}),
            .uid = static_cast<std::uint32_t>(random_() % 2),
            .terminal = Chance()};
  }

  Operation AnyOperation() {
    switch (random_() % 6) {
      case 0: {
        Execution execution{.path = AnyPath(), .owner = static_cast<std::uint32_t>(random_() % 2)};
        for (std::size_t i = random_() % 3; i > 0; --i) execution.args.push_back(Any({"-l", "-a", "x", ""}));
        execution.in_memory = Chance(5);
        execution.from_outside = Chance(5);
        return execution;
      }
      case 1:
      case 2: {
        Opening opening{.path = AnyPath(), .owner = static_cast<std::uint32_t>(random_() % 2), .writes = Chance()};
        if (Chance()) opening.path += opening.path == "/" ? "" : "/";
        opening.of_other_process = Chance(4);
        if (opening.of_other_process && Chance()) opening.path = "/proc/7/environ";
        return opening;
      }
      case 3:
        return SocketCreation{{.family = std::stoi(Any({"1", "2", "10", "16", "17"})),
                               .type = std::stoi(Any({"1", "2", "3", "5"})),
                               .protocol = std::stoi(Any({"0", "1", "6", "17", "58", "132"}))}};
      case 4:
        return CapabilityUse{static_cast<std::uint32_t>(std::stoi(Any({"12", "13", "21"})))};
      default:
        return Chance(6) ? Operation(CodeMapping{})
                         : Operation(SystemCallUse{Any({"unlink", "openat", "setuid"}), Chance() ? AnyPath() : ""});
    }
  }

  std::string Any(const std::vector<std::string>& some) { return some[random_() % some.size()]; }
  bool Chance(unsigned of = 2) { return random_() % of == 0; }

 private:
  Posture AnyPosture() { return Chance() ? Posture::kBlock : Posture::kAudit; }

  std::string AnyPath() {
    return Any({"/a", "/a/b", "/a/b/c", "/a/bb/c.txt", "/ab", "/bin/x", "/usr/bin/x", "/usr/bin/sub/x", "/", "/usr",
                "/a/b/c/d/e", "/lib/x", "/usr/lib/x", "/opt/x", "/a/x.c"});
  }

  std::string Spec() {
    std::string sections;
    const auto add = [&](const std::string& section) { sections += (sections.empty() ? "" : ", ") + section; };
    if (Chance()) add("process: {" + Paths(true) + "}");
    if (Chance()) add("file: {" + Paths(false) + "}");
    if (Chance(3)) {
      const std::string protocol = Any({"tcp", "UDP", "icmp", "raw", "stream", "packet", "all", "sctp"});
      add("network: {matchProtocols: [{protocol: " + protocol + Common() + "}]}");
    }
    if (Chance(3)) {
      add("capabilities: {matchCapabilities: [{capability: " + Any({"net_raw", "net_admin", "sys_admin"}) + Common() +
          "}]}");
    }
    if (Chance(4)) {
      add(Chance()
              ? "syscalls: {matchSyscalls: [{syscall: [" + Any({"unlink", "openat", "setuid"}) + "]" + Source() + "}]}"
              : "syscalls: {matchPaths: [{syscall: [unlink" + Any({"", ", openat"}) +
                    "], path: " + Any({"/a/b", "/a/", "/a/, recursive: true", "/bin/x"}) + Source() + "}]}");
    }
    if (Chance(4)) {
      const std::string preset = Any({"protectEnv", "filelessExec", "exec", "protectProc", "anonMapExec"});
      add("presets: [{name: " + preset + ", action: " + Any({"Audit", "Block"}) + "}]");
    }
    if (sections.empty()) add("file: {" + Paths(false) + "}");
    return "{" + sections + ", action: " + Any({"Allow", "Audit", "Block"}) + "}";
  }

  // Lists of rules about paths.
  std::string Paths(bool process) {
    std::string lists;
    const auto add = [&](const std::string& name, const std::vector<std::string>& targets) {
      std::string rules;
      for (std::size_t i = random_() % 3; i > 0; --i) {
        rules += (rules.empty() ? "{" : ", {") + Any(targets) + Conditions(process, name == "matchPaths") + "}";
      }
      if (!rules.empty()) lists += (lists.empty() ? "" : ", ") + name + ": [" + rules + "]";
    };
    std::vector<std::string> paths = {"path: /a", "path: /a/b", "path: /bin/x", "path: /usr/bin/x", "path: /a/b/c"};
    if (process) paths.insert(paths.end(), {"execname: x", "execname: c.txt"});
    add("matchPaths", paths);
    add("matchDirectories", {"dir: /", "dir: /, recursive: true", "dir: /a/", "dir: /a/, recursive: true", "dir: /bin/",
                             "dir: /usr/, recursive: true", "dir: /a/b/, recursive: true", "dir: /lib/"});
    add("matchPatterns", {"pattern: '/**'", "pattern: '/a/?'", "pattern: '/{a,bin}/*'", "pattern: '/**/x'",
                          "pattern: '/a/[^b]*'", "pattern: '/bin/*'", "pattern: '/**.{c,txt}'", "pattern: '/a/**/c*'",
                          "pattern: '/*/'", "pattern: '/u?r/**/x'"});
    if (lists.empty()) lists = "matchPaths: [{path: /a/b" + Conditions(process, true) + "}]";
    return lists;
  }

  std::string Conditions(bool process, bool path) {
    std::string text;
    if (Chance(4)) text += ", ownerOnly: true";
    if (!process && Chance(4)) text += ", readOnly: true";
    if (process && path && Chance(4)) text += ", allowedArgs: [" + Any({"-l", "-l, -a", "x, ''"}) + "]";
    if (Chance(3)) text += ", action: " + Any({"Allow", "Audit", "Block"});
    return text + Common();
  }

  std::string Common() { return (Chance(5) ? Any({", pts: true", ", pts: false"}) : "") + Source(); }

  std::string Source() {
    if (!Chance(3)) return "";
    return Any({", fromSource: [{path: /p}]", ", fromSource: [{path: /q}, {path: /bin/p}]",
                ", fromSource: [{path: /usr/bin/q}]"});
  }

  std::mt19937 random_;
};

}  // namespace sluice::policy::lsm
