"""What labels cost, in mills: thousandths of a US dollar, whole numbers. Prices are rounded up, the cap down."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from boxset.params import Label

TIERS_MILLS = (36, 48, 60, 72, 120, 240, 360, 480, 600, 720, 840, 960, 1080, 1200)
"""What Ground Truth's public workforce may be paid for a bounding-box task (AWS's developer guide)."""


def mills(usd: float) -> int:
    """Return a price in mills, rounded up."""
    return int((Decimal(str(usd)) * 1000).to_integral_value(ROUND_CEILING))


def cap_mills(usd: float) -> int:
    """Return a cap in mills, rounded down."""
    return int((Decimal(str(usd)) * 1000).to_integral_value(ROUND_FLOOR))


def per_picture_mills(settings: Label) -> int:
    """Return what one picture costs at the most: the service's fee and every worker's pay."""
    return mills(settings.price.usd_service_fee) + settings.workers * mills(settings.price.usd_per_task)
