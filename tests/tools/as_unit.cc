// Runs a program under a systemd unit file's restrictions, where systemd does not run:
//   as_unit deploy/sluice.service /usr/sbin/sluiced --resources DIR
// Supported: CapabilityBoundingSet, NoNewPrivileges, SystemCallFilter (sets by `systemd-analyze syscall-filter`),
// SystemCallErrorNumber, RestrictNamespaces, RestrictAddressFamilies, LockPersonality, RestrictSUIDSGID,
// MemoryDenyWriteExecute, UMask, LimitCORE, LimitNOFILE, OOMScoreAdjust. Other lines of [Service] are an error, unless
// they are known to have nothing to do with rights, so that no line of the unit file stays untested.
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "as_unit: %s\n", what.c_str());
  std::exit(125);
}

void Check(int rc, const std::string& what) {
  if (rc != 0) Die(what + ": " + std::strerror(rc < 0 && rc != -1 ? -rc : errno));
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// They do not restrict the process, or have no meaning without systemd.
const std::set<std::string> kNoRights = {"Type",
                                         "ExecStart",
                                         "ExecReload",
                                         "Restart",
                                         "RestartSec",
                                         "TimeoutStartSec",
                                         "TimeoutStopSec",
                                         "StateDirectory",
                                         "StateDirectoryMode",
                                         "RuntimeDirectory",
                                         "RuntimeDirectoryMode",
                                         "ConfigurationDirectory",
                                         "WatchdogSec",
                                         "SystemCallArchitectures"};

std::map<std::string, std::string> ReadService(const std::string& path) {
  std::ifstream file(path);
  if (!file) Die("cannot read " + path);
  std::map<std::string, std::string> settings;
  bool in_service = false;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[') {
      in_service = line == "[Service]";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (in_service && equals != std::string::npos) settings[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return settings;
}

// Adds the calls of a set, including those of its subsets.
void AddCalls(const std::string& name, std::set<std::string>& calls) {
  if (name[0] != '@') {
    calls.insert(name);
    return;
  }
  FILE* const pipe = popen(("systemd-analyze --no-pager syscall-filter " + name).c_str(), "r");
  if (pipe == nullptr) Die("systemd-analyze");
  std::string text;
  char buffer[4096];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) text += buffer;
  if (pclose(pipe) != 0) Die("systemd-analyze syscall-filter " + name);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto words = Words(line);
    if (line[0] != ' ' || words.empty() || words[0] == "#") continue;
    AddCalls(words[0], calls);
  }
}

void Refuse(scmp_filter_ctx filter, const char* call, const std::vector<scmp_arg_cmp>& when, int error = EPERM) {
  const int number = seccomp_syscall_resolve_name(call);
  if (number == __NR_SCMP_ERROR) return;
  const int rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), number,
                                        static_cast<unsigned int>(when.size()), when.data());
  if (rc != 0 && rc != -EDOM) Die(std::string("refuse ") + call + ": " + std::strerror(-rc));
}

void LoadAllowed(const std::string& list) {
  std::set<std::string> calls;
  for (const std::string& name : Words(list)) AddCalls(name, calls);
  // systemd always allows these.
  for (const char* always : {"execve", "exit", "exit_group", "rt_sigreturn", "sigreturn", "mmap", "mprotect"})
    calls.insert(always);
  const auto filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  for (const std::string& call : calls) {
    const int number = seccomp_syscall_resolve_name(call.c_str());
    if (number < 0) continue;  // of another architecture
    const int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    if (rc != 0) Die("allow " + call + ": " + std::strerror(-rc));
  }
  Check(seccomp_load(filter), "load the allow list");
  seccomp_release(filter);
}

int FamilyOf(const std::string& name) {
  const std::map<std::string, int> families = {
      {"AF_UNIX", AF_UNIX}, {"AF_INET", AF_INET}, {"AF_INET6", AF_INET6}, {"AF_NETLINK", AF_NETLINK}};
  const auto found = families.find(name);
  if (found == families.end()) Die("unknown address family " + name);
  return found->second;
}

void LoadRestrictions(const std::map<std::string, std::string>& settings) {
  const auto filter = seccomp_init(SCMP_ACT_ALLOW);
  const auto value = [&](const char* name) {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string() : found->second;
  };
  if (value("RestrictNamespaces") == "net") {
    Refuse(filter, "clone3", {}, ENOSYS);
    for (const auto flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID}) {
      const auto bit = static_cast<scmp_datum_t>(static_cast<unsigned int>(flag));
      Refuse(filter, "clone", {SCMP_A0_64(SCMP_CMP_MASKED_EQ, bit, bit)});
      Refuse(filter, "unshare", {SCMP_A0_64(SCMP_CMP_MASKED_EQ, bit, bit)});
      Refuse(filter, "setns", {SCMP_A1_64(SCMP_CMP_MASKED_EQ, bit, bit)});
    }
    Refuse(filter, "setns", {SCMP_A1_64(SCMP_CMP_EQ, 0)});
  } else if (!value("RestrictNamespaces").empty()) {
    Die("RestrictNamespaces other than net");
  }
  if (!value("RestrictAddressFamilies").empty()) {
    std::set<int> allowed;
    for (const std::string& name : Words(value("RestrictAddressFamilies"))) allowed.insert(FamilyOf(name));
    for (int family = 0; family < 64; family++) {
      if (allowed.contains(family)) continue;
      Refuse(filter, "socket", {SCMP_A0_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(family))}, EAFNOSUPPORT);
    }
  }
  if (value("LockPersonality") == "yes") Refuse(filter, "personality", {SCMP_A0_32(SCMP_CMP_NE, 0U)});
  if (value("RestrictSUIDSGID") == "yes") {
    for (const auto bit : {S_ISUID, S_ISGID}) {
      const auto mode = static_cast<scmp_datum_t>(bit);
      Refuse(filter, "chmod", {SCMP_A1_64(SCMP_CMP_MASKED_EQ, mode, mode)});
      Refuse(filter, "fchmod", {SCMP_A1_64(SCMP_CMP_MASKED_EQ, mode, mode)});
      Refuse(filter, "fchmodat", {SCMP_A2_64(SCMP_CMP_MASKED_EQ, mode, mode)});
    }
  }
  if (value("MemoryDenyWriteExecute") == "yes") {
    const auto both = static_cast<scmp_datum_t>(PROT_EXEC | PROT_WRITE);
    Refuse(filter, "mmap", {SCMP_A2_64(SCMP_CMP_MASKED_EQ, both, both)});
    Refuse(filter, "mprotect", {SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)});
  }
  Check(seccomp_load(filter), "load the restrictions");
  seccomp_release(filter);
}

std::uint64_t MaskOf(const std::string& capabilities) {
  std::uint64_t mask = 0;
  for (const std::string& name : Words(capabilities)) {
    cap_value_t number = 0;
    if (cap_from_name(name.c_str(), &number) != 0) Die("unknown capability " + name);
    mask |= std::uint64_t{1} << static_cast<unsigned>(number);
  }
  return mask;
}

void Apply(const std::string& name, const std::string& value) {
  const auto limit = [&](int resource) {
    rlimit both{std::stoull(value), std::stoull(value)};
    rlimit most{};
    // A lower limit is allowed; a higher one needs CAP_SYS_RESOURCE.
    Check(getrlimit(static_cast<__rlimit_resource>(resource), &most), name);
    if (both.rlim_max > most.rlim_max) both = {most.rlim_max, most.rlim_max};
    Check(setrlimit(static_cast<__rlimit_resource>(resource), &both), name);
  };
  if (name == "CapabilityBoundingSet") {
    const std::uint64_t mask = MaskOf(value);
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
      if ((mask >> capability & 1) == 0) Check(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), name);
    }
  } else if (name == "UMask") {
    umask(static_cast<mode_t>(std::stoul(value, nullptr, 8)));
  } else if (name == "LimitCORE") {
    limit(RLIMIT_CORE);
  } else if (name == "LimitNOFILE") {
    limit(RLIMIT_NOFILE);
  } else if (name == "OOMScoreAdjust") {
    std::ofstream("/proc/self/oom_score_adj") << value;
  } else if (name == "NoNewPrivileges") {
    Check(prctl(PR_SET_NO_NEW_PRIVS, value == "yes" ? 1 : 0, 0, 0, 0), name);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) Die("usage: as_unit UNIT PROGRAM [ARGUMENT...]");
  const auto settings = ReadService(argv[1]);
  const std::set<std::string> done = {"CapabilityBoundingSet", "UMask",          "LimitCORE",
                                      "LimitNOFILE",           "OOMScoreAdjust", "NoNewPrivileges"};
  const std::set<std::string> filtered = {"SystemCallFilter",        "SystemCallErrorNumber", "RestrictNamespaces",
                                          "RestrictAddressFamilies", "LockPersonality",       "RestrictSUIDSGID",
                                          "MemoryDenyWriteExecute"};
  for (const auto& [name, value] : settings) {
    if (!done.contains(name) && !filtered.contains(name) && !kNoRights.contains(name))
      Die(name + "= of the unit file is not carried out here");
  }
  std::set<std::string> rest = done;
  rest.erase("CapabilityBoundingSet");
  for (const std::string& name : rest) {
    if (settings.contains(name)) Apply(name, settings.at(name));
  }
  if (settings.contains("CapabilityBoundingSet")) Apply("CapabilityBoundingSet", settings.at("CapabilityBoundingSet"));
  LoadRestrictions(settings);
  if (settings.contains("SystemCallFilter")) LoadAllowed(settings.at("SystemCallFilter"));
  execv(argv[2], argv + 2);
  Die(std::string("execute ") + argv[2] + ": " + std::strerror(errno));
}
