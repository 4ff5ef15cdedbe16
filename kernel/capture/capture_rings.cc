#include "kernel/capture/capture_rings.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "kernel/bpf/array_map.h"

namespace sluice::capture {
namespace {

constexpr std::array kKinds{RingKind::kPassed, RingKind::kDropped};
constexpr std::uint32_t kMostBytes = 64U << 20;

std::size_t PageBytes(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

std::uint32_t CellsOf(const RingOptions& options, RingKind kind) {
  const std::uint32_t cells = std::bit_floor(options.bytes / static_cast<std::uint32_t>(sizeof(sl_capture_cell)));
  return std::max<std::uint32_t>(kind == RingKind::kPassed ? cells : cells / 4, SL_CAPTURE_CELLS_MIN);
}

std::size_t IndexOf(RingKind kind) { return static_cast<std::size_t>(kind); }

// A part of a map's memory. Holds the map too, so that it stays while it is read.
class Memory {
 public:
  Memory() = default;
  Memory(Memory&& other) noexcept
      : fd_(std::move(other.fd_)), at_(std::exchange(other.at_, nullptr)), bytes_(other.bytes_) {}
  Memory& operator=(Memory&&) = delete;
  ~Memory() {
    if (at_ != nullptr) munmap(at_, bytes_);
  }

  static StatusOr<Memory> Map(int fd, std::size_t bytes, int protection, const char* name) {
    Memory memory;
    memory.fd_ = Fd(dup(fd));
    memory.bytes_ = PageBytes(bytes);
    void* const at = mmap(nullptr, memory.bytes_, protection, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return ErrnoError(errno, "map {}: map its memory", name);
    memory.at_ = at;
    return memory;
  }
  const void* at() const { return at_; }

 private:
  Fd fd_;
  void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace

std::uint64_t RingBytes(const RingOptions& options) {
  return (static_cast<std::uint64_t>(CellsOf(options, RingKind::kPassed)) + CellsOf(options, RingKind::kDropped)) *
         sizeof(sl_capture_cell);
}

struct CaptureRings::Ring {
  RingOptions options;
  std::array<Fd, SL_CAPTURE_KINDS> maps;
  std::array<std::uint32_t, SL_CAPTURE_KINDS> cells{};
};

struct RingReader::Mapped {
  std::vector<Memory> memory;  // the captures, then the rings
  std::vector<CellReader> readers;
  const __u64* drops = nullptr;
  std::uint64_t drops_seen = 0;
};

RingReader::RingReader(std::unique_ptr<Mapped> mapped) : mapped_(std::move(mapped)) {}

RingReader::~RingReader() = default;

void RingReader::Read(const Visit& visit) {
  for (const RingKind kind : kKinds) {
    mapped_->readers[IndexOf(kind)].Read(
        [&](const sl_capture_packet& facts, std::span<const std::uint8_t> bytes) { visit(kind, facts, bytes); });
  }
}

void RingReader::SkipAll() {
  for (CellReader& reader : mapped_->readers) reader.SkipAll();
}

bool RingReader::HasNewDrops() {
  const std::uint64_t drops = __atomic_load_n(mapped_->drops, __ATOMIC_RELAXED);
  return std::exchange(mapped_->drops_seen, drops) != drops;
}

void RingReader::ReadDrops(const std::function<void(const sl_capture_packet&)>& visit) {
  mapped_->readers[SL_CAPTURE_DROPPED].Read([&](const sl_capture_packet& facts, auto) { visit(facts); });
}

std::uint64_t RingReader::overwritten() const {
  std::uint64_t sum = 0;
  for (const CellReader& reader : mapped_->readers) sum += reader.overwritten() + reader.incomplete();
  return sum;
}

CaptureRings::CaptureRings(Limits limits, Switch switch_on) : limits_(limits), switch_(std::move(switch_on)) {}

StatusOr<std::unique_ptr<CaptureRings>> CaptureRings::Open(const bpf::DatapathObject& object, Limits limits,
                                                           Switch switch_on) {
  std::unique_ptr<CaptureRings> rings(new CaptureRings(limits, std::move(switch_on)));
  SL_RETURN_IF_ERROR(rings->Bind(object));
  return rings;
}

Status CaptureRings::Bind(const bpf::DatapathObject& object) {
  SL_ASSIGN_OR_RETURN(ring_map_, decltype(ring_map_)::Bind(object.map_fd("capture_rings"), "capture_rings"));
  captures_fd_ = object.map_fd("captures");
  void* const at = mmap(nullptr, PageBytes(SL_MAX_ENDPOINTS * sizeof(sl_capture)), PROT_READ | PROT_WRITE, MAP_SHARED,
                        captures_fd_, 0);
  if (at == MAP_FAILED) return ErrnoError(errno, "map captures: map its memory");
  captures_ = static_cast<sl_capture*>(at);
  SL_RETURN_IF_ERROR(TellPackets());
  for (std::uint32_t endpoint = 0; endpoint < SL_MAX_ENDPOINTS; ++endpoint) {
    if (captures_[endpoint].cells[SL_CAPTURE_PASSED] == 0) continue;
    SL_RETURN_IF_ERROR(StopLocked(endpoint));
  }
  return OkStatus();
}

CaptureRings::~CaptureRings() {
  if (captures_ == nullptr) return;
  while (!rings_.empty()) {
    const Status stopped = StopLocked(rings_.begin()->first);
    if (!stopped.ok()) LogWarn("{}", Message(stopped));
  }
  munmap(captures_, PageBytes(SL_MAX_ENDPOINTS * sizeof(sl_capture)));
}

sl_capture& CaptureRings::StateOf(std::uint32_t endpoint) const { return captures_[endpoint]; }

Status CaptureRings::MakeRing(std::uint32_t endpoint, RingKind kind, std::uint32_t cells, Ring* ring) const {
  SL_ASSIGN_OR_RETURN(Fd map, bpf::MakeInnerArray("capture_ring", sizeof(sl_capture_cell), cells));
  SL_RETURN_IF_ERROR(ring_map_.Put(SL_CAPTURE_RING(endpoint, static_cast<__u32>(kind)), static_cast<__u32>(map.get())));
  ring->cells[IndexOf(kind)] = cells;
  ring->maps[IndexOf(kind)] = std::move(map);
  return OkStatus();
}

Status CaptureRings::Start(std::uint32_t endpoint, const RingOptions& options) {
  if (endpoint == 0 || endpoint >= SL_MAX_ENDPOINTS) return InvalidError("capture: there is no endpoint {}", endpoint);
  if (options.snaplen == 0 || options.snaplen > SL_CAPTURE_SNAPLEN_MAX)
    return InvalidError("capture: {} bytes of each packet: must be 1 to {}", options.snaplen, SL_CAPTURE_SNAPLEN_MAX);
  if (options.bytes > kMostBytes)
    return InvalidError("capture: {} bytes for a workload: must be at most {}", options.bytes, kMostBytes);
  const std::lock_guard lock(mutex_);
  const auto known = rings_.find(endpoint);
  if (known != rings_.end() && known->second->options.bytes == options.bytes) {
    known->second->options = options;
    __atomic_store_n(&StateOf(endpoint).snaplen, options.snaplen, __ATOMIC_RELAXED);
    return OkStatus();
  }
  const std::uint64_t freed = known == rings_.end() ? 0 : RingBytes(known->second->options);
  if (bytes_ - freed + RingBytes(options) > limits_.bytes)
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "captures would need {} bytes of the kernel's memory, and may have {}",
                     bytes_ - freed + RingBytes(options), limits_.bytes);
  SL_RETURN_IF_ERROR(StopLocked(endpoint));
  auto ring = std::make_unique<Ring>();
  ring->options = options;
  for (const RingKind kind : kKinds) SL_RETURN_IF_ERROR(MakeRing(endpoint, kind, CellsOf(options, kind), ring.get()));
  sl_capture& state = StateOf(endpoint);
  for (const RingKind kind : kKinds) {
    state.cells[IndexOf(kind)] = ring->cells[IndexOf(kind)];
    state.next[IndexOf(kind)] = state.lost[IndexOf(kind)] = 0;
  }
  __atomic_store_n(&state.snaplen, options.snaplen, __ATOMIC_RELEASE);
  bytes_ += RingBytes(options);
  rings_[endpoint] = std::move(ring);
  return TellPackets();
}

// Under the lock.
Status CaptureRings::TellPackets() const {
  std::set<std::uint32_t> endpoints;
  for (const auto& [endpoint, ring] : rings_) endpoints.insert(endpoint);
  return switch_(endpoints);
}

Status CaptureRings::Stop(std::uint32_t endpoint) {
  const std::lock_guard lock(mutex_);
  return StopLocked(endpoint);
}

// Deleting from a map of maps waits until no program uses the ring any more.
Status CaptureRings::StopLocked(std::uint32_t endpoint) {
  sl_capture& state = StateOf(endpoint);
  __atomic_store_n(&state.snaplen, 0U, __ATOMIC_RELEASE);
  const auto known = rings_.find(endpoint);
  if (known != rings_.end()) {
    bytes_ -= RingBytes(known->second->options);
    lost_ += state.lost[SL_CAPTURE_PASSED] + state.lost[SL_CAPTURE_DROPPED];
    rings_.erase(known);
    SL_RETURN_IF_ERROR(TellPackets());
  }
  if (state.cells[SL_CAPTURE_PASSED] == 0) return OkStatus();
  for (const RingKind kind : kKinds) {
    SL_RETURN_IF_ERROR(ring_map_.Delete(SL_CAPTURE_RING(endpoint, static_cast<__u32>(kind))));
    state.cells[IndexOf(kind)] = 0;
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<RingReader>> CaptureRings::Open(std::uint32_t endpoint) const {
  const std::lock_guard lock(mutex_);
  const auto known = rings_.find(endpoint);
  if (known == rings_.end())
    return MakeError(absl::StatusCode::kNotFound, "capture: endpoint {} is not captured", endpoint);
  auto mapped = std::make_unique<RingReader::Mapped>();
  SL_ASSIGN_OR_RETURN(auto state,
                      Memory::Map(captures_fd_, SL_MAX_ENDPOINTS * sizeof(sl_capture), PROT_READ, "captures"));
  const auto* const capture = static_cast<const sl_capture*>(state.at()) + endpoint;
  mapped->memory.push_back(std::move(state));
  for (const RingKind kind : kKinds) {
    const std::uint32_t cells = known->second->cells[IndexOf(kind)];
    SL_ASSIGN_OR_RETURN(auto ring, Memory::Map(known->second->maps[IndexOf(kind)].get(),
                                               cells * sizeof(sl_capture_cell), PROT_READ, "capture_ring"));
    mapped->readers.emplace_back(std::span(static_cast<const sl_capture_cell*>(ring.at()), cells),
                                 &capture->next[IndexOf(kind)]);
    mapped->memory.push_back(std::move(ring));
  }
  mapped->drops = &capture->next[SL_CAPTURE_DROPPED];
  return std::unique_ptr<RingReader>(new RingReader(std::move(mapped)));
}

std::optional<RingOptions> CaptureRings::OptionsOf(std::uint32_t endpoint) const {
  const std::lock_guard lock(mutex_);
  const auto known = rings_.find(endpoint);
  return known == rings_.end() ? std::nullopt : std::optional(known->second->options);
}

CaptureRings::Usage CaptureRings::usage() const {
  const std::lock_guard lock(mutex_);
  Usage usage{.workloads = rings_.size(), .bytes = bytes_, .limit = limits_.bytes, .lost = lost_};
  for (const auto& [endpoint, ring] : rings_) {
    const sl_capture& state = StateOf(endpoint);
    usage.lost += __atomic_load_n(&state.lost[SL_CAPTURE_PASSED], __ATOMIC_RELAXED) +
                  __atomic_load_n(&state.lost[SL_CAPTURE_DROPPED], __ATOMIC_RELAXED);
  }
  return usage;
}

}  // namespace sluice::capture
