#include "ctrl/cri/sandbox_watch.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/log.h"
#include "ctrl/cri/read_once.h"
#include "ctrl/cri/runtime_client.h"
#include "ctrl/cri/runtime_reply.h"

namespace sluice::cri {
namespace {

namespace v1 = runtime::v1;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kBetweenLists{100};
// The runtime tells of a process before its own lists have it, so an event is followed by more than one list.
constexpr std::array kAfterEvent{milliseconds(0), milliseconds(200), milliseconds(1'000)};
constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLongestBackoff{2'000};
constexpr milliseconds kSubscribeAgain{1'000};

// In the order of their creation, the oldest `max` of them. Answers how many were left out.
template <typename Item>
std::size_t SortAndLimit(std::vector<Item>* items, std::size_t max) {
  std::sort(items->begin(), items->end(), [](const Item& a, const Item& b) {
    return a.created_at() != b.created_at() ? a.created_at() < b.created_at() : a.id() < b.id();
  });
  const std::size_t left_out = items->size() > max ? items->size() - max : 0;
  items->resize(items->size() - left_out);
  return left_out;
}

template <typename Item>
std::map<std::string, const Item*> ById(const std::vector<Item>& items) {
  std::map<std::string, const Item*> by_id;
  for (const Item& item : items) by_id[item.id()] = &item;
  return by_id;
}

// What is known of `items`, in their order.
template <typename Item, typename Value>
std::vector<Value> KnownOf(const std::vector<Item>& items, const std::map<std::string, Value>& known) {
  std::vector<Value> values;
  for (const Item& item : items) {
    if (const auto found = known.find(item.id()); found != known.end()) values.push_back(found->second);
  }
  return values;
}

}  // namespace

class SandboxWatch::Impl {
 public:
  Impl(WatchOptions options, Fd wake) : options_(std::move(options)), wake_(std::move(wake)) {
    state_.since = std::chrono::system_clock::now();
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      if (runtime_ != nullptr) runtime_->Cancel();
    }
    changed_.notify_all();
    thread_.join();
  }

  std::vector<node::Sandbox> sandboxes() const {
    const std::lock_guard lock(mutex_);
    return sandboxes_;
  }
  std::optional<List> list() const {
    const std::lock_guard lock(mutex_);
    if (state_.lists == 0) return std::nullopt;
    return List{sandboxes_, list_requested_};
  }
  std::vector<Container> containers() const {
    const std::lock_guard lock(mutex_);
    return containers_;
  }
  WatchState state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  int fd() const { return wake_.get(); }

 private:
  void Run() {
    for (milliseconds backoff = kFirstBackoff; !Stopping();) {
      Status status = runtime_ == nullptr ? Connect() : OkStatus();
      if (status.ok()) {
        FollowEvents();
        status = ListSandboxes();
      }
      if (status.ok()) {
        ListContainers();
        backoff = kFirstBackoff;
        WaitForNextList();
        continue;
      }
      if (Stopping()) break;
      Away(status);
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, backoff, [this] { return stopping_; });
      backoff = std::min(2 * backoff, kLongestBackoff);
    }
    Disconnect();
  }

  bool Stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  Status Connect() {
    std::string errors;
    for (const std::string& endpoint : options_.endpoints) {
      const auto runtime = std::make_shared<RuntimeClient>(endpoint, options_.call_deadline);
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) return absl::CancelledError();
        runtime_ = runtime;
      }
      const auto version = runtime->Version();
      if (version.ok()) {
        LogInfo("container runtime: {} at {}", *version, endpoint);
        const std::lock_guard lock(mutex_);
        state_.endpoint = endpoint;
        state_.runtime = *version;
        // Another runtime that is on the machine has other pods: its empty list must not end these.
        options_.endpoints = {endpoint};
        return OkStatus();
      }
      errors += (errors.empty() ? "" : "; ") + endpoint + ": " + Message(version.status());
    }
    return absl::UnavailableError(errors);
  }

  void Disconnect() {
    stream_.reset();
    no_events_ = false;
    subscribe_again_ = {};
    const std::lock_guard lock(mutex_);
    stream_ended_.reset();
    state_.events = false;
    runtime_.reset();
  }

  void Away(const Status& status) {
    Disconnect();
    const std::lock_guard lock(mutex_);
    if (state_.synced || state_.last_error.empty()) {
      LogWarn("container runtime does not answer, known pod sandboxes ({}) stay: {}", sandboxes_.size(),
              Message(status));
    }
    state_.last_error = Message(status);
    if (state_.synced) SetSynced(false);
  }

  // With mutex_ held.
  void SetSynced(bool synced) {
    state_.synced = synced;
    state_.since = std::chrono::system_clock::now();
    Wake();
  }

  void Wake() { static_cast<void>(eventfd_write(wake_.get(), 1)); }

  // Begins with the runtime's events, also anew after their end.
  void FollowEvents() {
    std::optional<Status> ended;
    {
      const std::lock_guard lock(mutex_);
      ended.swap(stream_ended_);
    }
    if (ended) {
      stream_.reset();
      no_events_ = ended->code() == absl::StatusCode::kUnimplemented;
      subscribe_again_ = Clock::now() + kSubscribeAgain;
      if (no_events_) {
        LogInfo("container runtime has no events, listing every {} ms", options_.poll_without_events.count());
      } else {
        LogInfo("container runtime ended its events: {}", ended->ok() ? "no error" : Message(*ended));
      }
    }
    const bool subscribe = stream_ == nullptr && !no_events_ && Clock::now() >= subscribe_again_;
    {
      const std::lock_guard lock(mutex_);
      // The runtime does not say from when on it sends events: begin as after one.
      if (subscribe) last_event_ = Clock::now();
      if (subscribe || stream_ == nullptr) state_.events = subscribe;
    }
    if (!subscribe) return;
    stream_ = std::make_unique<EventStream>(
        runtime_->channel(),
        [this] {
          const std::lock_guard lock(mutex_);
          ++state_.events_seen;
          last_event_ = Clock::now();
          changed_.notify_all();
        },
        [this](const Status& status) {
          const std::lock_guard lock(mutex_);
          state_.events = false;
          stream_ended_ = status;
          changed_.notify_all();
        });
  }

  Status ListSandboxes() {
    list_started_ = Clock::now();
    auto listed = runtime_->ReadySandboxes();
    if (!listed.ok()) return listed.status();
    listed_ = *std::move(listed);
    const std::size_t left_out = SortAndLimit(&listed_, options_.max_sandboxes);
    bool gone = false;
    const auto by_id = ById(listed_);
    const std::vector<std::string> due = known_sandboxes_.Listed(by_id, list_started_, &gone);
    if (gone) PublishSandboxes();
    runtime_->SandboxStatuses(due, [&](const std::string& id, const StatusOr<v1::PodSandboxStatusResponse>& status) {
      Keep(&known_sandboxes_, id, ToSandbox(*by_id.at(id), status), "pod sandbox");
      if (listed_before_) PublishSandboxes();
    });
    if (Stopping()) return absl::CancelledError();
    listed_before_ = true;
    PublishSandboxes();

    const std::lock_guard lock(mutex_);
    if (left_out != 0 && state_.left_out == 0) {
      LogWarn("{} pod sandboxes above the limit of {} are left out", left_out, options_.max_sandboxes);
    }
    state_.left_out = left_out;
    state_.unread = known_sandboxes_.failed();
    state_.unread_error = known_sandboxes_.an_error();
    ++state_.lists;
    list_requested_ = list_started_;
    if (!state_.synced) SetSynced(true);
    return OkStatus();
  }

  // A failure here does not matter to what is enforced, so the connection stays.
  void ListContainers() {
    auto listed = runtime_->LivingContainers();
    std::string error = Message(listed.status());
    if (listed.ok()) {
      const auto sandboxes = ById(listed_);
      std::erase_if(*listed, [&](const v1::Container& one) { return !sandboxes.contains(one.pod_sandbox_id()); });
      const std::size_t left_out = SortAndLimit(&*listed, options_.max_containers);
      bool gone = false;
      const auto by_id = ById(*listed);
      const std::vector<std::string> due = known_containers_.Listed(by_id, Clock::now(), &gone);
      const std::string runtime = RuntimeName();
      runtime_->ContainerStatuses(due, [&](const std::string& id, const StatusOr<v1::ContainerStatusResponse>& status) {
        const v1::Container& container = *by_id.at(id);
        Keep(&known_containers_, id, ToContainer(container, *sandboxes.at(container.pod_sandbox_id()), runtime, status),
             "container");
      });
      error = known_containers_.an_error();
      if (left_out != 0) error = fmt::format("{} containers above the limit are left out", left_out);
    }
    std::vector<Container> containers;
    if (listed.ok()) containers = KnownOf(*listed, known_containers_.known());
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      changed = listed.ok() && (!listed_containers_ || containers != containers_);
      if (changed) containers_ = containers;
      listed_containers_ = listed_containers_ || listed.ok();
      state_.containers_error = error;
    }
    if (changed && options_.on_containers) options_.on_containers(containers);
  }

  std::string RuntimeName() const {
    const std::lock_guard lock(mutex_);
    return state_.runtime.substr(0, state_.runtime.find(' '));  // its version follows
  }

  template <typename Value>
  void Keep(ReadOnce<Value>* known, const std::string& id, StatusOr<Value> value, const char* what) {
    if (value.ok()) {
      known->Read(id, *std::move(value));
    } else if (value.status().code() != absl::StatusCode::kNotFound && !Stopping()) {
      if (known->Failed(id, Message(value.status()), Clock::now())) {
        LogWarn("{} {}: {}", what, id, Message(value.status()));
      }
    }
  }

  void PublishSandboxes() {
    std::vector<node::Sandbox> sandboxes = KnownOf(listed_, known_sandboxes_.known());
    const std::lock_guard lock(mutex_);
    if (sandboxes == sandboxes_) return;
    sandboxes_ = std::move(sandboxes);
    Wake();
  }

  void WaitForNextList() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      const Clock::time_point next = NextList();
      if (Clock::now() >= next) break;
      changed_.wait_until(lock, next);
    }
  }

  // With mutex_ held.
  Clock::time_point NextList() const {
    Clock::time_point next = list_started_ + (state_.events ? options_.poll_with_events : options_.poll_without_events);
    if (stream_ended_) next = list_started_;
    for (const milliseconds delay : kAfterEvent) {
      if (last_event_ + delay > list_started_) {
        next = std::min(next, last_event_ + delay);
        break;
      }
    }
    for (const auto& again : {known_sandboxes_.again(), known_containers_.again()}) {
      if (again) next = std::min(next, *again);
    }
    return std::max(next, list_started_ + kBetweenLists);
  }

  WatchOptions options_;  // endpoints: of the thread
  const Fd wake_;

  // Of the thread alone.
  std::unique_ptr<EventStream> stream_;
  bool no_events_ = false;             // this runtime has none
  Clock::time_point subscribe_again_;  // not before
  Clock::time_point list_started_;
  bool listed_before_ = false;
  bool listed_containers_ = false;
  std::vector<v1::PodSandbox> listed_;  // last, in the order of their creation
  ReadOnce<node::Sandbox> known_sandboxes_;
  ReadOnce<Container> known_containers_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::shared_ptr<RuntimeClient> runtime_;  // written by the thread, which alone reads it without mutex_
  Clock::time_point last_event_;
  std::optional<Status> stream_ended_;
  std::vector<node::Sandbox> sandboxes_;
  Clock::time_point list_requested_;  // when the last complete list was
  std::vector<Container> containers_;
  WatchState state_;

  std::thread thread_;
};

StatusOr<std::unique_ptr<SandboxWatch>> SandboxWatch::Start(WatchOptions options) {
  if (options.endpoints.empty()) return InvalidError("no endpoint of a container runtime");
  for (const std::string& endpoint : options.endpoints) {
    if (!endpoint.starts_with("unix:")) return InvalidError("container runtime {}: expected unix:///PATH", endpoint);
  }
  Fd wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.valid()) return ErrnoError(errno, "eventfd");
  return std::unique_ptr<SandboxWatch>(new SandboxWatch(std::make_unique<Impl>(std::move(options), std::move(wake))));
}

SandboxWatch::SandboxWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SandboxWatch::~SandboxWatch() = default;

std::vector<node::Sandbox> SandboxWatch::sandboxes() const { return impl_->sandboxes(); }
std::optional<SandboxWatch::List> SandboxWatch::list() const { return impl_->list(); }
std::vector<Container> SandboxWatch::containers() const { return impl_->containers(); }
WatchState SandboxWatch::state() const { return impl_->state(); }
int SandboxWatch::fd() const { return impl_->fd(); }

}  // namespace sluice::cri
