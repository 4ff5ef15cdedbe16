// docs/kubearmor-policy.md is made here from the tables of policy/lsm and from people's files: SLUICE_UPDATE_DOCS=1
// writes it. The files are no part of this project: SLUICE_CORPORA is the directory that has them, below
// kubearmor-templates/ and kubearmor-tests/.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "policy/lsm/limits.h"
#include "policy/lsm/parser.h"
#include "tests/lsm/feature_lines.h"

namespace sluice::policy::lsm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPageHead = R"(# KubeArmor policies
KubeArmor's users keep their runtime policy as `KubeArmorPolicy` (pods of a namespace), `KubeArmorClusterPolicy` (pods of
several namespaces) and `KubeArmorHostPolicy` (the programs of nodes outside of pods), all of `security.kubearmor.com/v1`.
`sluice apply` and `sluiced --resources` take such files as they are, beside all other kinds; `sluice get`, `describe`,
`diff` and `delete` know them as `kubearmorpolicies` (`ksp`), `kubearmorhostpolicies` (`hsp`) and
`kubearmorclusterpolicies` (`csp`). Every error names file, line, field and value, and says what to do.
With `--kube` the agent also follows such objects of the API server ([kubernetes.md](kubernetes.md)), in strict mode: the
chart brings their definitions with `crds.kubeArmorPolicies`, and KubeArmor's own serve as well.

**What enforces them.** BPF programs at the kernel's LSM hooks, which need a kernel with `CONFIG_BPF_LSM` and `bpf` in its
list `lsm=`. On another kernel a policy is refused before anything changes, and the error names what is missing. Rules of
`network.matchPeers` need nothing of that: the packet path enforces them for each packet, by the program behind it, as it
does the `processes` of a NetworkPolicy ([policy.md](policy.md), rules 41 to 49). All policies of a node change in one
step; a new workload's policies are in force before its first program runs. They stay in force while the agent is away.

**What they say.** Every operation that is blocked or audited is an `alert` ([events.md](events.md)): `sluice observe --type
alert`, also in KubeArmor's form (`-o kubearmor-json`, and its log service by `sluiced --kubearmor-api`). `sluice explain
--from NS/NAME --exec PATH` and `--open PATH` (with `--process PATH`, the program that does it) say beforehand who would
stop it; exit code 0: nobody, 3: it is denied. With `--resources FILE...` they need no agent.

What the policies mean is written down as a program, `policy/lsm/evaluate.cc`, which the tests of `tests/unit/policy_lsm`
hold to this page. The page itself is made from `policy/lsm` and from the files below: change those, and run
`SLUICE_UPDATE_DOCS=1 SLUICE_CORPORA=DIR build/bin/unit_lsm --gtest_filter=LsmPage.*`.

## What a policy means
**Whom it is for.** A KubeArmorPolicy selects pods of its namespace by `matchLabels` (all of them) and `matchExpressions`
with the key `label` (`In`: the pod has one of the values, `NotIn`: it has none). The label `kubearmor.io/container.name`
selects containers by name: `web`, or `[web, db]`. A KubeArmorClusterPolicy has `matchExpressions` only, which may also
have the key `namespace`. A KubeArmorHostPolicy selects nodes by `nodeSelector.matchLabels`: `kubernetes.io/hostname` and
`kubearmor.io/hostname` are `*`, a name, or names with commas between; `kubearmor.io/hostnamereg` is a regular expression
that the name contains; all others are labels that the node has. An empty or missing selector selects everything that the
kind may be for.

**What must be known for that.** Containers are those of the container runtime (`--kube` and `--cri`), labels of nodes those
of the API server (`--kube`) and of `--node-label`. While they are not known, `apply` refuses a policy that asks for them; one
of the API server is in error, and in force as soon as they are known. A container is covered when its cgroup exists, which
is before its first process runs.

**Policies add up.** All policies that select a workload are read as one. No kind goes before another.

**Sections.** Every operation belongs to one section: executing a program to `process`, opening a file to `file`, creating
a socket to `network.matchProtocols`, connecting or sending to an address to `network.matchPeers`, using a capability to
`capabilities`, a system call to `syscalls`. A section says nothing about operations of another one: an executed program's
file is not opened in this sense, but the libraries that it loads are.

**Which rules are about an operation.** Those that name what it is about and whose `fromSource` has the program that does
it (no `fromSource`: any program). The program of an execution is the one that calls execve(2), not the one that begins.
Paths are those of the kernel, in the process's own root and without symbolic links, so that no link leads past a rule;
a hard link is a name of its own. A rule for `/bin`, `/sbin`, `/lib`, `/lib32` or `/lib64` is also for the same path below
`/usr`, where these directories are on most systems. `execname` is the last part of the path. `dir` is the directory
itself and the files in it; with `recursive` everything below it.

**Which rule decides.** Among the rules with action Allow or Block, the most precise one:
1. a rule with `fromSource` before one without;
2. `path`, then `execname`, then patterns and directories by the length of their known beginning: a directory's whole path,
   a pattern's text before its first wildcard. At the same length: patterns, directories, recursive directories;
3. for sockets, a protocol before a type of sockets (`raw`, `stream`, ...) before `all`; for peers the longer prefix, then
   fewer ports, then a rule with a protocol;
4. of two rules that are equally precise, Block.

So a Block rule for a file inside an allowed directory blocks it, and an Allow rule for a file inside a blocked directory
opens it.

**Allow lists.** An Allow rule makes its section an allow list: for all programs, or if it has `fromSource`, for these
programs only. What no rule decides about gets the section's default posture there: `audit` (it passes and is reported) or
`block`. It is `audit` unless the namespace's annotation `kubearmor-file-posture`, `kubearmor-network-posture` or
`kubearmor-capabilities-posture` says `block`; processes have the posture of files. `matchProtocols` and `matchPeers` are
two lists. Without an Allow rule, what no rule decides about passes.

**Audit** rules watch. They open nothing that is blocked and close nothing: an operation that passes is reported if one of
them is about it; the report names the most precise one.

**Conditions.** `ownerOnly`: the process runs as the file's owner. `readOnly`: the file is not opened for writing. `pts`:
the process has a terminal (`true`) or has none (`false`). `allowedArgs`: there are arguments, and each is one of these. An
Allow or Audit rule is about an operation that keeps all its conditions. A Block rule with conditions blocks what does not
keep them, and says nothing about the rest: `ownerOnly` with Block keeps everybody but the owner out.

**System calls** are audited only, whatever the policy's action is. **Presets** are blocked or audited by name; no rule opens
what a preset blocks. Sockets of AF_UNIX, AF_NETLINK and AF_ALG and loopback addresses stay inside the machine: no rule is
about them.

**Severity, tags, message and action** may stand at `spec`, at a section and at a rule: the innermost counts. The default
is severity 1, action Block.

## What is different from KubeArmor
- `matchPatterns` work, with AppArmor's syntax: `?`, `*` (no `/`), `**`, `[a-z]`, `[^a-z]`, `{a,b}`, and `\` before a
  character that stands for itself. Between two `/`, and after the last one, `*` and `**` stand for at least one byte. The
  path of a directory ends with `/`.
- `network.matchPeers` is Sluice's own: `cidr`, `port`, `endPort` and `protocol` (tcp, udp or sctp; without it, any). What
  it lets pass, NetworkPolicies must let pass, too. A program that is not known may be one of a rule's: Block rules and
  default postures count for it, Allow rules do not. It is for whole pods, without `pts`, and for programs with paths of
  at most 511 bytes; `apply` refuses the rest.
- `matchPatterns` may have `fromSource`, and every rule but those of `syscalls` and `presets` may have `pts`.
- Refused, in every mode: `matchDNSQueries` (rules about names are not possible yet), `apparmor` (raw profiles), `device`
  (USB), and the kind KubeArmorNetworkPolicy.

Errors where KubeArmor ignores what is written: fields that are not in the tables below, in any other spelling; keys that
are there twice; `*` or `?` in a `path` or `dir`; a pattern that matches no path; a `dir` without `/` at its end; a path with
a component that is empty, `.` or `..`; an action of `syscalls` other than Audit, and of presets other than Audit and Block;
system calls, capabilities and protocols that do not exist; a policy or section without a rule; rules that can never take
effect, because another rule of the policy blocks the same.

Warnings: rules that are there twice, and paths with a space, as a command line has.

## Lenient mode
`--lenient` (of `validate`, `apply`, `diff`, `delete` and `explain`) is for files as they are found: these errors are warnings, with file, line and key.
- Unknown and misspelt keys are not read, as in Kubernetes. The rule or selector is wider or narrower without them: read
  the warnings. A selector without a known key selects everything, and has a warning that says so.
- Of a key that is there twice, the last one counts.
- An action in lower or upper case is read; a `dir` without `/` at its end gets one.
- A rule without `path`, `dir` or `pattern`, a pattern that matches no path, and a `path` with wildcards match nothing. An
  Allow rule still makes its section an allow list.
- An action of `syscalls` is read as Audit; a rule of a KubeArmorHostPolicy's `network` may be without `fromSource`; a
  section may be without rules, and rules may be without effect.

Nothing else is: a wrong value is still an error.
)";

std::string ListsTable() {
  std::string text = "\n## Rules\n| list | the rule is about a process that | fields |\n| --- | --- | --- |\n";
  for (const RuleListInfo& info : kRuleLists) {
    text += fmt::format("| `{}.{}` | {} | {} |\n", info.section, info.name, info.meaning, info.fields);
  }
  return text;
}

std::string NamesTables() {
  std::string text = "\n## Actions\n| action | what it does with an operation |\n| --- | --- |\n";
  for (const ActionInfo& info : kActions) text += fmt::format("| `{}` | {} |\n", info.name, info.meaning);
  text += "\n## Protocols of sockets\n| protocol | sockets |\n| --- | --- |\n";
  for (const ProtocolInfo& info : kProtocols) text += fmt::format("| `{}` | {} |\n", info.name, info.meaning);
  text += "\n## Presets\n| preset | is about |\n| --- | --- |\n";
  for (const PresetInfo& info : kPresets) text += fmt::format("| `{}` | {} |\n", info.name, info.meaning);
  return text;
}

std::string LimitsPart() {
  struct Limit {
    const char* what;
    std::size_t most;
  };
  std::string text = "\n## Limits\n| of | at most |\n| --- | --- |\n";
  for (const Limit& limit :
       {Limit{"rules of a policy", kMaxRules}, Limit{"programs of fromSource", kMaxSources},
        Limit{"bytes of a path or directory", kMaxPathBytes}, Limit{"bytes of a pattern", kMaxPatternBytes},
        Limit{"`*` and `**` of a pattern", kMaxRuns},
        Limit{"patterns that the braces of one stand for", kMaxAlternatives},
        Limit{"allowedArgs of a rule", kMaxAllowedArgs}, Limit{"bytes of an entry of allowedArgs", kMaxArgBytes},
        Limit{"system calls of a rule", kMaxRuleSyscalls}, Limit{"entries of a selector", kMaxRequirements},
        Limit{"values of an entry of matchExpressions", kMaxSelectorValues}, Limit{"tags", kMaxTags},
        Limit{"bytes of a tag", kMaxTagBytes}, Limit{"bytes of a message", kMaxMessageBytes}}) {
    text += fmt::format("| {} | {} |\n", limit.what, limit.most);
  }
  return text;
}

constexpr const char* kKernelHead = R"(
## In the kernel
The rules of all policies are tables (`policy/lsm/compile.h`); programs at the kernel's LSM hooks look them up and refuse
what is blocked with EPERM (`bpf/lsm`). It needs a kernel with BPF LSM, and `bpf` among the active modules
(`/sys/kernel/security/lsm`). Where the reference leaves a choice:

- **What opening is.** `file` is also about calls that change a file or its name without opening it: unlink, rename, link
  (both names), symlink, mkdir, rmdir, mknod, truncate, chmod and chown count as opening it for writing. A new file
  belongs to who makes it. Extended attributes and times are not covered, nor is the rename of a directory *above* the
  file: its path is another one then. Block that directory, too.
- **Paths are whole**, up to 4095 bytes. A longer one, and a file on a mount that is in no mount namespace, is blocked by
  any Block rule of the section, and by an allow list that blocks; the report says so. A file that no file system has
  (memfd) has no path: only an allow list's posture and presets are about it.
- **A mount is a path of its own.** Who may mount (also in a user namespace that a process makes for itself) can give a
  file another path. Block the capability `sys_admin` where that matters.
- **allowedArgs** are judged twice: when a program is about to be executed, and once more when the kernel has its own copy
  of the arguments. What was changed in between is not refused but killed (SIGKILL), before its first instruction. So
  are programs that a script names, whose arguments are not known before.
- **A container's start.** A process of the container runtime is under the container's rules from its first execution
  there, which is under them itself. What it does before, as making mounts, is not: the process sensors know it by the
  node's mount namespace. So a process of a pod that executes a program in the node's mount namespace, which takes
  `sys_admin`, is taken for the runtime's. A Workload that is no pod has no runtime, and is under its rules at once.
- **`exec`** is about processes whose parent is in another pid namespace and cgroup and that are not the first one of
  their own; pods with the host's pid namespace cannot tell.
- **Capabilities** are used when the kernel has found that the process has them. Questions without consequence (as of the
  memory accounting) are not uses.
- **`syscalls.matchPaths`** is for calls that open, execute or change a file; for others (as `statfs`) it is refused.
- Kernel threads are under no rules.

| feature | kernels | test of `lsm_policies` |
| --- | --- | --- |
)";

std::string KernelPart() {
  std::string text = kKernelHead;
  for (const test::FeatureLine& line : test::kFeatureLines)
    text += fmt::format("| {} | {} | `{}` |\n", line.feature, line.kernels, line.test);
  text += "\n| of the agent | kernels | test |\n| --- | --- | --- |\n";
  for (const test::AgentLine& line : test::kAgentLines)
    text += fmt::format("| {} | {} | `{}: {}*` |\n", line.feature, line.kernels, line.program, line.test);
  return text;
}

std::string PageFromTables() { return kPageHead + ListsTable() + NamesTables() + LimitsPart() + KernelPart(); }

std::string TextOf(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool HasPolicy(const std::string& text) {
  for (const char* kind : {"kind: KubeArmorPolicy", "kind: KubeArmorHostPolicy", "kind: KubeArmorClusterPolicy",
                           "kind: KubeArmorNetworkPolicy"}) {
    if (text.find(kind) != std::string::npos) return true;
  }
  return false;
}

struct Corpus {
  const char* directory;
  const char* what;
  std::size_t strict = 0;
  std::size_t warned = 0;   // of `strict`: with warnings
  std::size_t lenient = 0;  // only so
  std::size_t refused = 0;
  std::map<std::string, std::string> rows = {};  // of files that are not read in strict mode
};

std::string Line(const Problem& problem) { return fmt::format("line {}: {}", problem.place.line, problem.what); }

void AddFile(const std::string& file, const std::string& text, Corpus& corpus) {
  const ParseOptions options{.skip_unknown = true, .more_kinds = KindParsers()};
  ParseOptions lenient_options = options;
  lenient_options.lenient = true;
  const ParsedText strict = ParseText("f.yaml", text, options), lenient = ParseText("f.yaml", text, lenient_options);
  if (strict.problems.empty()) {
    EXPECT_FALSE(strict.resources.empty()) << file;
    ++corpus.strict;
    corpus.warned += strict.warnings.empty() ? 0 : 1;
  } else if (lenient.problems.empty()) {
    EXPECT_FALSE(lenient.warnings.empty()) << file << " is read with no word about " << Line(strict.problems.front());
    EXPECT_FALSE(lenient.resources.empty()) << file;
    ++corpus.lenient;
    corpus.rows[file] = "lenient: " + Line(strict.problems.front());
  } else {
    ++corpus.refused;
    corpus.rows[file] = "refused: " + Line(lenient.problems.front());
  }
}

constexpr const char* kCorporaHead = R"(
## Files of KubeArmor's repositories
All files that have such a policy, and what `sluice validate` says. Some have warnings, too: paths with spaces, which
are meant as command lines, and rules that are there twice.

| files | read | of these with warnings | only with `--lenient` | refused |
| --- | --- | --- | --- | --- |
)";

std::string PageFromCorpora(const fs::path& corpora, std::size_t& files) {
  std::string table = kCorporaHead, rows = "\n| file | result |\n| --- | --- |\n";
  for (Corpus corpus : {Corpus{"kubearmor-templates", "policy-templates"}, Corpus{"kubearmor-tests", "KubeArmor"}}) {
    for (const auto& entry : fs::recursive_directory_iterator(corpora / corpus.directory)) {
      if (!entry.is_regular_file() || !entry.path().extension().string().starts_with(".y")) continue;
      const std::string text = TextOf(entry.path());
      if (!HasPolicy(text)) continue;
      ++files;
      AddFile(fs::relative(entry.path(), corpora / corpus.directory), text, corpus);
    }
    table += fmt::format("| {} | {} | {} | {} | {} |\n", corpus.what, corpus.strict, corpus.warned, corpus.lenient,
                         corpus.refused);
    for (auto [file, result] : corpus.rows) {
      for (std::size_t bar = 0; (bar = result.find('|', bar)) != std::string::npos; bar += 2) result.insert(bar, "\\");
      rows += fmt::format("| {} | {} |\n", file, result);
    }
  }
  return table + rows;
}

fs::path PagePath() {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  return fs::path(source == nullptr ? "." : source) / "docs/kubearmor-policy.md";
}

// Where the page's second part begins.
std::size_t CorporaBegin(const std::string& page) { return std::min(page.find("\n## Files of "), page.size()); }

TEST(LsmPage, TablesAreThoseOfTheCode) {
  const std::string page = TextOf(PagePath());
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) {
    std::ofstream(PagePath()) << PageFromTables() + page.substr(CorporaBegin(page));
  }
  const std::string written = TextOf(PagePath());
  EXPECT_EQ(written.substr(0, CorporaBegin(written)), PageFromTables()) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

// "SUITE.NAME" of every test below tests/`directory`.
std::vector<std::string> TestsBelow(std::string_view directory) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  const RE2 definition(R"(\nTEST(?:_[FP])?\((\w+),\s*(\w+)\))");
  std::vector<std::string> names;
  for (const auto& file :
       fs::recursive_directory_iterator(fs::path(source == nullptr ? "." : source) / "tests" / directory)) {
    if (file.path().extension() != ".cc") continue;
    const std::string text = TextOf(file.path());
    re2::StringPiece rest(text);
    for (std::string suite, name; RE2::FindAndConsume(&rest, definition, &suite, &name);)
      names.push_back(suite + "." + name);
  }
  return names;
}

TEST(LsmPage, LinesOfTheAgentHaveTests) {
  for (const test::AgentLine& line : test::kAgentLines) {
    const std::vector<std::string> names = TestsBelow(line.directory);
    EXPECT_TRUE(
        std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.starts_with(line.test); }))
        << line.feature << ": no test of " << line.directory << " begins with " << line.test;
  }
}

TEST(LsmPage, FilesAreReadAsItSays) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr) {
    GTEST_SKIP() << "SLUICE_CORPORA names no directory with kubearmor-templates/ and kubearmor-tests/: people's files "
                    "are not read";
  }
  std::size_t files = 0;
  const std::string made = PageFromCorpora(corpora, files);
  ASSERT_GT(files, 450U) << "too few files below " << corpora;
  const std::string page = TextOf(PagePath());
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) {
    std::ofstream(PagePath()) << page.substr(0, CorporaBegin(page)) + made;
  }
  const std::string written = TextOf(PagePath());
  EXPECT_EQ(written.substr(CorporaBegin(written)), made) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

// Of the page itself, so that a change of the files' part is seen without them: what is refused has a reason that the
// page gives.
TEST(LsmPage, RefusedFilesHaveAKnownReason) {
  const std::string text = TextOf(PagePath());
  std::istringstream page(text.substr(CorporaBegin(text)));
  int lenient = 0, refused = 0;
  for (std::string line; std::getline(page, line);) {
    lenient += line.find("| lenient: ") != std::string::npos ? 1 : 0;
    if (line.find("| refused: ") == std::string::npos) continue;
    ++refused;
    bool known = false;
    for (const char* reason :
         {"profiles of AppArmor are not enforced here", "names no container", "rules about names are not possible yet",
          "KubeArmorNetworkPolicy: a NetworkPolicy of"}) {
      known = known || line.find(reason) != std::string::npos;
    }
    EXPECT_TRUE(known) << line;
  }
  EXPECT_EQ(lenient, 28);
  EXPECT_EQ(refused, 7);
}

}  // namespace
}  // namespace sluice::policy::lsm
