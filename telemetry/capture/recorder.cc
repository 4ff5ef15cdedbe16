#include "telemetry/capture/recorder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "telemetry/event/event_owner.h"
#include "telemetry/event/event_type.h"
#include "telemetry/event/flow_text.h"

namespace sluice::telemetry {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kNextEvent{200};
constexpr std::size_t kMostRemembered = 8192;  // workloads whose last file's time is known

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "write {}", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return OkStatus();
}

}  // namespace

struct Recorder::Job {
  policy::ObjectName workload;
  CaptureCause cause;
  std::string path;
  Steady::time_point due;
  std::unique_ptr<PacketStream> stream;
  Fd file;
  std::unique_ptr<pcapng::CaptureWriter> writer;
  Status status = OkStatus();
};

Recorder::Recorder(Options options, PacketCapture* capture, CaptureFiles files)
    : options_(std::move(options)), capture_(capture), files_(std::move(files)) {}

StatusOr<std::unique_ptr<Recorder>> Recorder::Start(Options options, PacketCapture* capture) {
  SL_ASSIGN_OR_RETURN(CaptureFiles files, CaptureFiles::Open(options.files));
  std::unique_ptr<Recorder> recorder(new Recorder(std::move(options), capture, std::move(files)));
  recorder->numbers_.files = recorder->files_.usage();
  recorder->thread_ = std::thread(&Recorder::Run, recorder.get());
  return recorder;
}

Recorder::~Recorder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (events_thread_.joinable()) events_thread_.join();
  if (thread_.joinable()) thread_.join();
}

// Under the lock.
Status Recorder::Admit(const policy::ObjectName& workload, Steady::time_point now) {
  const auto last = last_.find(workload);
  if (last != last_.end() && now - last->second < options_.interval) {
    ++numbers_.suppressed;
    return MakeError(absl::StatusCode::kResourceExhausted, "the last file of {} is younger than {} s",
                     workload.ToString(), options_.interval.count());
  }
  if (stopping_ || open_ >= options_.max_open) {
    ++numbers_.suppressed;
    return MakeError(absl::StatusCode::kResourceExhausted, "{} files of packets are being written already", open_);
  }
  if (last_.size() >= kMostRemembered)
    std::erase_if(last_, [&](const auto& one) { return now - one.second >= options_.interval; });
  return OkStatus();
}

StatusOr<std::string> Recorder::Write(const policy::ObjectName& workload, const CaptureCause& cause) {
  const auto now = Steady::now();
  {
    const std::lock_guard lock(mutex_);
    SL_RETURN_IF_ERROR(Admit(workload, now));
    last_[workload] = now;
    ++open_;
  }
  auto job = std::make_unique<Job>();
  job->workload = workload;
  job->cause = cause;
  job->due = now + options_.after;
  auto stream = capture_->Follow({workload}, {.before = options_.before});
  const std::lock_guard lock(mutex_);
  if (!stream.ok()) {
    --open_;
    ++numbers_.failed;
    last_.erase(workload);
    return stream.status();
  }
  job->stream = *std::move(stream);
  job->path = files_.NewPath(workload, cause.kind, std::chrono::system_clock::now());
  std::string path = job->path;
  begun_.push_back(std::move(job));
  wake_.notify_all();
  return path;
}

// False: the file is finished, or cannot be.
bool Recorder::Continue(Job* job, Steady::time_point now) {
  const std::string part = job->path + CaptureFiles::kUnfinished;
  if (!job->writer) {
    job->status = files_.Prepare();
    if (!job->status.ok()) return false;
    job->file = Fd(open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!job->file.valid()) {
      job->status = ErrnoError(errno, "create {}", part);
      return false;
    }
    job->writer = std::make_unique<pcapng::CaptureWriter>(
        pcapng::CaptureWriter::Options{
            .application = options_.application,
            .node = options_.node,
            .cause = fmt::format("{}: {}: {}", job->workload.ToString(), job->cause.kind, job->cause.text)},
        [job, part](std::string_view bytes) { return WriteAll(job->file.get(), bytes, part); });
    job->status = job->writer->Begin();
  }
  bool full = false;
  job->stream->Read([&](v1::CaptureReply&& reply) {
    for (const v1::CapturedFlow& flow : reply.flows()) job->status.Update(job->writer->AddFlow(flow));
    for (const v1::CapturedPacket& packet : reply.packets()) {
      if (job->status.ok() && job->writer->bytes() < options_.max_file_bytes)
        job->status = job->writer->AddPacket(packet);
      else
        full = true;
    }
    return job->status.ok() && !full;
  });
  return job->status.ok() && !full && now < job->due;
}

void Recorder::Finish(Job* job) {
  const std::string part = job->path + CaptureFiles::kUnfinished;
  if (job->status.ok() && job->writer) job->status = job->writer->AddLoss(job->stream->lost());
  if (job->status.ok() && rename(part.c_str(), job->path.c_str()) != 0)
    job->status = ErrnoError(errno, "rename {} to {}", part, job->path);
  if (!job->status.ok()) {
    LogWarn("packets of {}: {}", job->workload.ToString(), Message(job->status));
    (void)unlink(part.c_str());
  } else {
    LogInfo("{}: {} packets of {} ({})", job->path, job->writer->packets(), job->workload.ToString(), job->cause.kind);
  }
  const Status room = files_.MakeRoom();
  if (!room.ok()) LogWarn("files of packets: {}", Message(room));
  job->stream.reset();
  const std::lock_guard lock(mutex_);
  --open_;
  if (job->status.ok()) {
    ++numbers_.written[job->cause.kind];
    numbers_.written_bytes += job->writer->bytes();
  }
  if (!job->status.ok()) ++numbers_.failed;
  numbers_.files = files_.usage();
}

void Recorder::Run() {
  std::vector<std::unique_ptr<Job>> jobs;
  bool stopping = false;
  while (!stopping || !jobs.empty()) {
    {
      std::unique_lock lock(mutex_);
      const auto something = [&] { return stopping_ || !begun_.empty(); };
      if (jobs.empty()) {
        wake_.wait(lock, something);
      } else {
        wake_.wait_for(lock, options_.poll, something);
      }
      stopping = stopping_;
      for (auto& job : begun_) jobs.push_back(std::move(job));
      begun_.clear();
    }
    const auto now = Steady::now();
    std::erase_if(jobs, [&](const std::unique_ptr<Job>& job) {
      if (Continue(job.get(), now) && !stopping) return false;
      Finish(job.get());
      return true;
    });
  }
}

Status Recorder::FollowEvents(EventHub* hub, EventFilter filter) {
  SL_ASSIGN_OR_RETURN(auto events, hub->Subscribe(std::move(filter)));
  events_ = std::move(events);
  hub_ = hub;
  events_thread_ = std::thread(&Recorder::ReadEvents, this);
  return OkStatus();
}

void Recorder::ReadEvents() {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_ || hub_->closed()) break;
    }
    const EventPtr event = events_->Next(kNextEvent);
    if (!event || event->has_lost()) continue;
    const policy::ObjectName workload = OwnerOf(*event);
    if (workload.name.empty()) continue;
    const auto written = Write(workload, {.kind = TypeOf(*event), .text = EventText(*event)});
    if (!written.ok() && !absl::IsResourceExhausted(written.status()))
      LogWarn("packets of {}: {}", workload.ToString(), Message(written.status()));
  }
  events_.reset();
}

Recorder::Numbers Recorder::numbers() const {
  const std::lock_guard lock(mutex_);
  return numbers_;
}

}  // namespace sluice::telemetry
