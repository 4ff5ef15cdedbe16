#include "ctrl/cni/conf_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "base/fd.h"

namespace sluice::cni {
namespace {

using namespace std::chrono_literals;
using WatchClock = std::chrono::steady_clock;

constexpr auto kSettle = 100ms;     // others may still be at work
constexpr auto kLookAgain = 10s;    // what inotify does not tell: sub-directories, a directory that was made anew
constexpr auto kFightWindow = 30s;  // overwritten again within that time: somebody else wants it otherwise
constexpr auto kMaxPause = 60s;
constexpr int kFreeRestores = 3;  // that are not slowed down

void Say(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

class DirectoryWatch {
 public:
  explicit DirectoryWatch(const InstallOptions& options) : options_(options) {}

  Status Open() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return ErrnoError(errno, "block signals");
    signals_ = Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_.valid()) return ErrnoError(errno, "open a signalfd");
    inotify_ = Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify_.valid()) return ErrnoError(errno, "open inotify");
    return OkStatus();
  }

  // From before the directories are read, so that no change is missed. Again each time: one may have been made anew.
  void Arm() const {
    constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE |
                                      IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    for (const std::string& directory : {options_.conf_dir, options_.bin_dir}) {
      inotify_add_watch(inotify_.get(), directory.c_str(), kEvents);
    }
  }

  // Waits for a change, but at most `longest`. False: it is time to end.
  bool Wait(std::chrono::milliseconds longest) const {
    pollfd polled[] = {{inotify_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    poll(polled, 2, static_cast<int>(longest.count()));
    return (polled[1].revents & POLLIN) == 0;
  }
  // For the whole time. False: it is time to end.
  bool Rest(std::chrono::milliseconds time) const {
    pollfd polled{signals_.get(), POLLIN, 0};
    return poll(&polled, 1, static_cast<int>(time.count())) != 1;
  }
  void Drain() const {
    char events[8192];
    while (read(inotify_.get(), events, sizeof(events)) > 0) {
    }
  }

 private:
  const InstallOptions& options_;
  Fd inotify_;
  Fd signals_;
};

// How long to wait before the entry is put back once more.
class Throttle {
 public:
  std::chrono::seconds Restored(WatchClock::time_point now) {
    count_ = now - last_ < kFightWindow + pause_ ? count_ + 1 : 0;
    last_ = now;
    pause_ = count_ <= kFreeRestores ? 0s : std::min<std::chrono::seconds>(kMaxPause, pause_ == 0s ? 1s : pause_ * 2);
    return pause_;
  }
  int count() const { return count_; }

 private:
  WatchClock::time_point last_{};
  std::chrono::seconds pause_{0};
  int count_ = 0;
};

}  // namespace

Status KeepInstalled(const InstallOptions& options) {
  DirectoryWatch watch(options);
  SL_RETURN_IF_ERROR(watch.Open());
  Throttle throttle;
  bool was_installed = false;
  std::string last_problem;
  while (true) {
    watch.Drain();
    watch.Arm();
    const auto changes = Install(options);
    std::chrono::milliseconds pause = kSettle;
    if (!changes.ok()) {
      if (Message(changes.status()) != last_problem) Say("waiting: " + Message(changes.status()));
      last_problem = Message(changes.status());
    } else {
      for (const std::string& change : *changes) Say(change);
      if (was_installed && !changes->empty()) {
        const auto slower = throttle.Restored(WatchClock::now());
        Say(slower == 0s ? "another program had changed that; it is in place again"
                         : fmt::format("another program has changed that {} times in a row; the next look is in {} s",
                                       throttle.count(), slower.count()));
        pause = std::max<std::chrono::milliseconds>(pause, slower);
      }
      if (!was_installed || !last_problem.empty()) Say("installed; watching " + options.conf_dir);
      was_installed = true;
      last_problem.clear();
    }
    if (!watch.Rest(pause)) return OkStatus();
    if (!watch.Wait(kLookAgain)) return OkStatus();
    if (!watch.Rest(kSettle)) return OkStatus();
  }
}

}  // namespace sluice::cni
