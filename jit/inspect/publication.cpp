#include "jit/inspect/publication.h"

#include <algorithm>
#include <cassert>

#include "jit/inspect/image.h"
#include "jit/inspect/listing.h"

namespace llamajit::jit::inspect {
namespace {

struct DescribedCode {
  std::vector<ImageKernel> kernels;
  std::vector<std::string> listings;  // of each
};

DescribedCode describe(const CodeCache& code) {
  DescribedCode out;
  for (const KernelInfo& info : code.kernels()) {
    const Listing listing = make_listing(code.isa(), info.key);
    // A listing that is not the code's would be worse than none.
    assert(std::ranges::equal(listing.bytes, std::span(code.code()).subspan(info.offset, info.size)));
    out.kernels.emplace_back(listing, info.offset);
    out.listings.push_back(listing.text());
  }
  return out;
}

void write_listings(const DescribedCode& described, const Folder& folder) {
  for (std::size_t i = 0; i < described.kernels.size(); ++i) {
    folder.write(described.kernels[i].source, described.listings[i]);
  }
}

}  // namespace

Publication::Publication(const CodeCache& code, const PublicationOptions& options) {
  if (!options.any() || code.address() == nullptr) return;
  const DescribedCode described = describe(code);
  if (options.gdb) {
    dump_private_mappings();
    gdb_folder_ =
        options.keep_listings ? Folder(*options.keep_listings, Folder::Lifetime::kept) : Folder::temporary();
    write_listings(described, *gdb_folder_);
    gdb_.emplace(make_debug_image(described.kernels, gdb_folder_->path(),
                                  reinterpret_cast<std::uintptr_t>(code.address()), code.code_bytes()));
  }
  if (options.perf) {
    const Folder folder(*options.perf, Folder::Lifetime::kept);
    write_listings(described, folder);
    jitdump_.emplace(folder.path());
    for (const ImageKernel& kernel : described.kernels) {
      jitdump_->add(kernel, std::span(code.code()).subspan(kernel.offset, kernel.code_bytes),
                    code.address() + kernel.offset, folder.path());
    }
  }
  if (options.perf_map) write_perf_map(described.kernels, code.address());
}

}  // namespace llamajit::jit::inspect
