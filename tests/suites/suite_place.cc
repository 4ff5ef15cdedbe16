#include "tests/suites/suite_place.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/agent_process.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

constexpr int kReportFd = 200;
constexpr int kFailed = 127;
constexpr std::chrono::seconds kMostTime{90};  // of a case: more than suite_process gives it

// $1: a directory, $2: the program. The lower layer is the root's file system alone, without what is mounted in it.
constexpr const char* kMakeRoot = R"(set -e
mount -t tmpfs -o mode=755 suites "$1"
mkdir -p "$1/lower/suite" "$1/upper" "$1/work" "$1/root"
cp "$2" "$1/lower/suite/suite_process"
mount -t overlay -o "lowerdir=$1/lower:/,upperdir=$1/upper,workdir=$1/work" suites "$1/root"
cd "$1/root"
mkdir -p proc dev tmp .outside
mount -t proc proc proc
mount --rbind /dev dev
mkdir -p dev/shm
mount -t tmpfs suites dev/shm
chmod 1777 tmp
pivot_root . .outside
exec chroot . /bin/sh -c 'umount -l /.outside && echo ready && exec sleep 1000000'
)";

Status ErrorOf(const std::error_code& error, const std::string& what) { return ErrnoError(error.value(), "{}", what); }

// What suite_process said: "leaf PID", "fail WHAT".
CaseRun ReadReport(const std::string& report) {
  CaseRun run;
  std::size_t at = 0;
  while (at < report.size()) {
    const std::size_t end = std::min(report.find('\n', at), report.size());
    const std::string line = report.substr(at, end - at);
    if (line.starts_with("leaf ")) run.leaves.push_back(std::atoi(line.c_str() + 5));
    if (line.starts_with("fail ") && run.problem.empty()) run.problem = line.substr(5);
    at = end + 1;
  }
  return run;
}

std::vector<char*> Raw(const std::vector<std::string>& texts) {
  std::vector<char*> raw;
  for (const std::string& text : texts) raw.push_back(const_cast<char*>(text.c_str()));
  raw.push_back(nullptr);
  return raw;
}

// All that is written until every writer has ended. False: not in time.
bool ReadAll(int fd, std::string* text) {
  const auto end = std::chrono::steady_clock::now() + kMostTime;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&polled, 1, static_cast<int>(left.count())) <= 0) return false;
    char buffer[4096];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0) return got == 0;
    text->append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

StatusOr<std::unique_ptr<SuitePlace>> SuitePlace::Create(const Options& options) {
  std::unique_ptr<SuitePlace> place(new SuitePlace);
  place->netns_fd_ = options.netns_fd;
  if (!options.container.empty()) SL_RETURN_IF_ERROR(place->MakeCgroup(options.container));
  SL_RETURN_IF_ERROR(place->MakeRoot());
  return place;
}

SuitePlace::~SuitePlace() {
  keeper_.reset();
  std::error_code ignored;
  if (!directory_.empty()) fs::remove(directory_, ignored);
  for (auto made = cgroups_.rbegin(); made != cgroups_.rend(); ++made) fs::remove(*made, ignored);
}

Status SuitePlace::MakeCgroup(const std::string& container) {
  const std::string root = fs::exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
  if (!fs::exists(root + "/cgroup.procs"))
    return Status(absl::StatusCode::kUnavailable, "no cgroup of version 2 is mounted");
  std::string path = root;
  for (const std::string& name :
       {fmt::format("sluice-suites-{}", getpid()), fmt::format("cri-containerd-{}.scope", container)}) {
    path += "/" + name;
    std::error_code error;
    fs::create_directory(path, error);
    if (error) return ErrorOf(error, "make cgroup " + path);
    cgroups_.push_back(path);
  }
  path += "/cgroup.procs";
  enter_ = Fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return enter_.valid() ? OkStatus() : ErrnoError(errno, "open {}", path);
}

Status SuitePlace::MakeRoot() {
  std::string name = "/tmp/sluice-suites-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) return ErrnoError(errno, "make {}", name);
  directory_ = name;
  SL_ASSIGN_OR_RETURN(ChildProcess keeper,
                      ChildProcess::Start({"unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", kMakeRoot,
                                           "sh", directory_, BinDirectory() + "/suite_process"}));
  const auto ready = keeper.WaitForOutput("ready");
  if (!ready.ok()) return Status(absl::StatusCode::kUnavailable, "a root of its own: " + Message(ready.status()));
  keeper_ = std::make_unique<ChildProcess>(std::move(keeper));
  const std::string mounts = fmt::format("/proc/{}/ns/mnt", keeper_->pid());
  mounts_ = Fd(open(mounts.c_str(), O_RDONLY | O_CLOEXEC));
  return mounts_.valid() ? OkStatus() : ErrnoError(errno, "open {}", mounts);
}

std::string SuitePlace::Inside(const std::string& path) const {
  return fmt::format("/proc/{}/root{}", keeper_->pid(), path);
}

Status SuitePlace::MakeFiles(const CasePlan& plan, std::vector<std::string>* made) const {
  std::error_code error;
  const auto ensure = [&](const std::string& directory) {
    if (fs::exists(Inside(directory))) return;
    fs::create_directories(Inside(directory), error);
    made->push_back(directory);
  };
  for (const std::string& directory : plan.directories) ensure(directory);
  for (const std::string& file : plan.files) {
    ensure(fs::path(file).parent_path());
    if (fs::exists(Inside(file))) continue;
    if (!std::ofstream(Inside(file))) return InvalidError("make {}: not possible", file);
    made->push_back(file);
  }
  for (const PlannedProcess& process : plan.processes) {
    ensure(fs::path(process.link).parent_path());
    if (process.copied) fs::copy_file(Inside(kProgram), Inside(process.program), error);
    if (!error) fs::create_symlink(process.program, Inside(process.link), error);
  }
  return error ? ErrorOf(error, "make the files of the case") : OkStatus();
}

StatusOr<std::string> SuitePlace::Start(const std::vector<std::string>& arguments,
                                        const std::vector<std::string>& environment) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe2");
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const std::vector<char*> argv = Raw(arguments), env = Raw(environment);
  const pid_t test = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoError(errno, "fork");
  if (pid == 0) {
    // Only async-signal-safe calls from here on.
    if (enter_.valid() && write(enter_.get(), "0", 1) != 1) _exit(kFailed);
    if (netns_fd_ >= 0 && setns(netns_fd_, CLONE_NEWNET) != 0) _exit(kFailed);
    if (setns(mounts_.get(), CLONE_NEWNS) != 0 || chdir("/") != 0) _exit(kFailed);
    if (dup2(write_end.get(), kReportFd) != kReportFd || getppid() != test) _exit(kFailed);
    execve(argv[0], argv.data(), env.data());
    _exit(kFailed);
  }
  write_end = Fd();
  std::string report;
  const bool ended = ReadAll(read_end.get(), &report);
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  if (!ended) return Status(absl::StatusCode::kDeadlineExceeded, arguments[0] + " did not end in time");
  const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!good && report.find("fail ") == std::string::npos)
    report += fmt::format("fail {}: wait status {:#x}\n", arguments[0], status);
  return report;
}

StatusOr<CaseRun> SuitePlace::Run(const CasePlan& plan) {
  std::vector<std::string> made;
  Status status = MakeFiles(plan, &made);
  const std::vector<std::string> base = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                         fmt::format("SLUICE_SUITE_REPORT={}", kReportFd)};
  if (status.ok() && !plan.before.empty()) {
    const auto before = Start({"/bin/sh", "-c", plan.before}, base);
    status = before.ok() && before->empty()
                 ? OkStatus()
                 : InvalidError("before: {}", before.ok() ? *before : Message(before.status()));
  }
  StatusOr<std::string> report = std::string();
  if (!status.ok()) {
    report = status;
  } else {
    std::vector<std::string> environment = base;
    environment.push_back("SLUICE_SUITE_PLAN=" + plan.lines);
    report = Start({kProgram}, environment);
  }
  std::error_code ignored;
  for (auto path = made.rbegin(); path != made.rend(); ++path) fs::remove_all(Inside(*path), ignored);
  SL_RETURN_IF_ERROR(report.status());
  return ReadReport(*report);
}

}  // namespace sluice::test
