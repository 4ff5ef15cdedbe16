#include "kernel/bpf/testing/xdp_sender.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace sluice::bpf {
namespace {

constexpr std::uint32_t kFrames = 2048;  // also the size of each ring
constexpr std::uint32_t kFrameSize = XSK_UMEM__DEFAULT_FRAME_SIZE / 2;
constexpr std::uint32_t kBatch = 32;  // the kernel sends at most 32 frames per call in copy mode
constexpr auto kPatience = std::chrono::seconds(5);

}  // namespace

struct XdpSender::Rings {
  ~Rings() {
    xsk_socket__delete(socket);
    if (umem != nullptr) xsk_umem__delete(umem);
    if (frames != MAP_FAILED) munmap(frames, kBytes);
  }
  static constexpr std::size_t kBytes = std::size_t{kFrames} * kFrameSize;

  void* frames = MAP_FAILED;
  xsk_umem* umem = nullptr;
  xsk_socket* socket = nullptr;
  xsk_ring_prod fill{};  // required, although this socket only sends
  xsk_ring_cons completed{};
  xsk_ring_prod to_send{};
  std::vector<std::uint64_t> free;  // addresses of frames that the kernel does not use
};

StatusOr<std::unique_ptr<XdpSender>> XdpSender::Open(const std::string& interface) {
  auto rings = std::make_unique<Rings>();
  rings->frames = mmap(nullptr, Rings::kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (rings->frames == MAP_FAILED) return ErrnoError(errno, "allocate {} bytes for frames", Rings::kBytes);
  const xsk_umem_config memory{.fill_size = kFrames, .comp_size = kFrames, .frame_size = kFrameSize};
  if (const int rc =
          xsk_umem__create(&rings->umem, rings->frames, Rings::kBytes, &rings->fill, &rings->completed, &memory);
      rc != 0)
    return ErrnoError(rc, "register the memory of an AF_XDP socket (the kernel needs CONFIG_XDP_SOCKETS)");
  xsk_socket_config config{.tx_size = kFrames, .bind_flags = XDP_COPY};
  config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
  if (const int rc =
          xsk_socket__create(&rings->socket, interface.c_str(), 0, rings->umem, nullptr, &rings->to_send, &config);
      rc != 0)
    return ErrnoError(rc, "open an AF_XDP socket on {}", interface);
  for (std::uint32_t i = 0; i < kFrames; ++i) rings->free.push_back(std::uint64_t{i} * kFrameSize);
  return std::unique_ptr<XdpSender>(new XdpSender(std::move(rings)));
}

XdpSender::XdpSender(std::unique_ptr<Rings> rings) : rings_(std::move(rings)) {}
XdpSender::~XdpSender() = default;

// Takes completed frames back. Returns whether there was one.
bool XdpSender::Reclaim() {
  std::uint32_t first = 0;
  const std::uint32_t done = xsk_ring_cons__peek(&rings_->completed, kFrames, &first);
  for (std::uint32_t i = 0; i < done; ++i)
    rings_->free.push_back(*xsk_ring_cons__comp_addr(&rings_->completed, first + i));
  xsk_ring_cons__release(&rings_->completed, done);
  return done > 0;
}

Status XdpSender::Send(std::uint32_t frames, std::uint32_t size, const std::function<void(std::uint8_t*)>& write) {
  if (size > kFrameSize) return InvalidError("a frame of {} bytes, at most {} can be sent", size, kFrameSize);
  const int socket = xsk_socket__fd(rings_->socket);
  auto progress = std::chrono::steady_clock::now();
  for (std::uint32_t left = frames; left > 0 || rings_->free.size() < kFrames;) {
    const std::uint32_t batch = std::min({left, kBatch, static_cast<std::uint32_t>(rings_->free.size())});
    std::uint32_t first = 0;
    xsk_ring_prod__reserve(&rings_->to_send, batch, &first);  // never fails: the ring has a slot for each frame
    for (std::uint32_t i = 0; i < batch; ++i) {
      const std::uint64_t address = rings_->free.back();
      rings_->free.pop_back();
      write(static_cast<std::uint8_t*>(xsk_umem__get_data(rings_->frames, address)));
      *xsk_ring_prod__tx_desc(&rings_->to_send, first + i) = {.addr = address, .len = size, .options = 0};
    }
    xsk_ring_prod__submit(&rings_->to_send, batch);
    left -= batch;
    // A full queue is no error: the frames stay in the ring until the next call.
    if (sendto(socket, nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && errno != EAGAIN && errno != EBUSY &&
        errno != ENOBUFS)
      return ErrnoError(errno, "send by AF_XDP");
    if (Reclaim()) {
      progress = std::chrono::steady_clock::now();
    } else if (std::chrono::steady_clock::now() - progress > kPatience) {
      return MakeError(absl::StatusCode::kDeadlineExceeded, "AF_XDP: the kernel did not complete {} frames for seconds",
                       kFrames - rings_->free.size());
    }
  }
  return OkStatus();
}

}  // namespace sluice::bpf
