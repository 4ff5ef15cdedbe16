#include "kernel/bpf/map_pages.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

namespace sluice::bpf {

MapPages::Shape MapPages::ShapeOf(const bpf_map* map) {
  // libbpf's function wants a map that it may change, and changes nothing.
  const bpf_map* const inner = bpf_map__inner_map(const_cast<bpf_map*>(map));
  if (inner == nullptr) return {};
  return {.type = static_cast<std::uint32_t>(bpf_map__type(inner)),
          .key_size = bpf_map__key_size(inner),
          .value_size = bpf_map__value_size(inner),
          .entries = bpf_map__max_entries(inner),
          .flags = bpf_map__map_flags(inner)};
}

MapPages::MapPages(int map_fd, std::uint32_t pages, const Shape& shape, std::string name)
    : map_fd_(map_fd), most_pages_(pages), shape_(shape), name_(std::move(name)) {}

StatusOr<int> MapPages::Make(std::uint32_t page) {
  const std::lock_guard lock(mutex_);
  if (page >= most_pages_)
    return MakeError(absl::StatusCode::kOutOfRange, "map {}: it has at most {} pages, and no page {}", name_,
                     most_pages_, page);
  if (page < pages_.size() && pages_[page].valid()) return pages_[page].get();
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = shape_.flags);
  Fd made(bpf_map_create(static_cast<bpf_map_type>(shape_.type), name_.c_str(), shape_.key_size, shape_.value_size,
                         shape_.entries, &options));
  if (!made.valid()) return ErrnoError(errno, "map {}: make page {}", name_, page);
  const int fd = made.get();
  if (bpf_map_update_elem(map_fd_, &page, &fd, BPF_ANY) != 0)
    return ErrnoError(errno, "map {}: put page {} in force", name_, page);
  if (page >= pages_.size()) pages_.resize(page + 1);
  pages_[page] = std::move(made);
  return fd;
}

int MapPages::page_fd(std::uint32_t page) const {
  const std::lock_guard lock(mutex_);
  return page < pages_.size() ? pages_[page].get() : -1;
}

}  // namespace sluice::bpf
