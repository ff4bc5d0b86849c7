"""The types of a gallery's pictures."""

#: Categories of a bundle that classifies pictures by type. Shop and street are those of Kiapour et al. 2015: before a
#: plain wall, or anywhere else.
IMAGE_TYPES = (
    "product>shop", "product>street", "model>shop", "model>street", "multiple", "detail", "chart", "other",
)  # fmt: skip
#: Those that show one product as a whole; of any other a pair teaches nothing true.
WHOLE_PRODUCT_TYPES = ("product>shop", "product>street", "model>shop", "model>street")
