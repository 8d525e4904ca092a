"""What training needs: imported feedback, and people from whom nothing is learned."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('training_opt_out',
    sa.Column('person', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('person')
    )
    op.create_table('imported_feedback',
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('answer', sa.Text(), nullable=False),
    sa.Column('verdict', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('correction', sa.Text(), nullable=False),
    sa.Column('rated_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('quotes', sa.JSON(), nullable=False),
    sa.Column('is_vouched', sa.Boolean(), nullable=False),
    sa.Column('imported_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('imported_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key')
    )
    with op.batch_alter_table('imported_feedback', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_imported_feedback_rated_by'), ['rated_by'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('imported_feedback', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_imported_feedback_rated_by'))

    op.drop_table('imported_feedback')
    op.drop_table('training_opt_out')
